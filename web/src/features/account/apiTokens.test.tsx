import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { ApiToken } from "../../api/types.ts";
import { FakeGateway, someGroup, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

const secret = "hat_a2b4c6d8e0";
let gateway: FakeGateway;
let tokens: ApiToken[];

const token = (part: Partial<ApiToken>): ApiToken => ({
  id: "apt_1",
  name: "Policies from git",
  role: "technician",
  role_name: "Technician",
  group_id: "grp_root",
  group_name: "All devices",
  created_at: "2026-11-20T10:00:00Z",
  expires_at: "2099-01-01T00:00:00Z",
  expired: false,
  ...part,
});

beforeEach(() => {
  tokens = [];
  gateway = new FakeGateway()
    .on("GET /api/me", {
      body: someMe({
        grants: [
          { role: "technician", role_name: "Technician", group_id: "grp_root", group_name: "All devices" },
        ],
      }),
    })
    .on("GET /api/groups", { body: { items: [someGroup()] } })
    .on("GET /api/me/tokens", () => ({ body: { items: tokens } }))
    .on("POST /api/me/tokens", ({ body }) => {
      const { name, role } = body as { name: string; role: string };
      const made = token({ id: "apt_2", name, role });
      tokens = [made];
      return { status: 201, body: { ...made, token: secret } };
    });
});
afterEach(() => vi.unstubAllGlobals());

const panel = () => screen.findByRole("region", { name: "API tokens" });

it("makes a token, shows it once to copy, and never again", async () => {
  const user = userEvent.setup();
  openConsole("/account");
  expect(await within(await panel()).findByText("You have none.")).toBeTruthy();
  await user.click(within(await panel()).getByRole("button", { name: "New token" }));
  const form = await screen.findByRole("dialog", { name: "New API token" });
  await user.click(await within(form).findByRole("button", { name: "Make token" }));
  expect(await within(form).findByText("Say what it is for.")).toBeTruthy();
  expect(gateway.requests("POST", "/api/me/tokens")).toHaveLength(0);
  // A token never gives more than its maker has.
  await user.click(within(form).getByRole("combobox", { name: "Role" }));
  expect((await screen.findAllByRole("option")).map((o) => o.textContent)).toEqual([
    "Technician",
    "Help desk",
  ]);
  await user.click(screen.getByRole("option", { name: "Technician" }));
  await user.type(within(form).getByRole("textbox", { name: "Name" }), "Nightly report");
  await user.click(within(form).getByRole("button", { name: "Make token" }));

  const made = await screen.findByRole("dialog", { name: "Token made" });
  expect(within(made).getByText(secret)).toBeTruthy();
  expect(within(made).getByText(/^Copy it now/)).toBeTruthy();
  expect(gateway.requests("POST", "/api/me/tokens")[0]?.body).toEqual({
    name: "Nightly report",
    role: "technician",
    group_id: "grp_root",
    ttl_seconds: 7_776_000,
  });
  await user.click(within(made).getByRole("button", { name: "Copy the token" }));
  expect(await within(made).findByRole("button", { name: "Copied" })).toBeTruthy();
  expect(await navigator.clipboard.readText()).toBe(secret);
  await user.click(within(made).getByRole("button", { name: "Done" }));

  await waitFor(() => expect(screen.queryByText(secret)).toBeNull());
  expect(await within(await panel()).findByText("Nightly report")).toBeTruthy();
  await user.click(within(await panel()).getByRole("button", { name: "New token" }));
  await screen.findByRole("dialog", { name: "New API token" });
  expect(document.body.textContent).not.toContain(secret);
});

it("tells why the gateway made no token, at its field", async () => {
  const user = userEvent.setup();
  gateway.on("POST /api/me/tokens", {
    status: 422,
    body: {
      code: "invalid",
      detail: "validation failed",
      errors: [{ location: "body.name", message: "you have a token of that name" }],
    },
  });
  openConsole("/account");
  await user.click(await within(await panel()).findByRole("button", { name: "New token" }));
  const form = await screen.findByRole("dialog", { name: "New API token" });
  await user.type(await within(form).findByRole("textbox", { name: "Name" }), "Twice");
  await user.click(within(form).getByRole("button", { name: "Make token" }));
  expect(await within(form).findByText(/you have a token of that name/i)).toBeTruthy();
  expect(screen.queryByRole("dialog", { name: "Token made" })).toBeNull();
});

it("revokes after a second yes, and says which have expired", async () => {
  const user = userEvent.setup();
  tokens = [
    token({}),
    token({ id: "apt_9", name: "Old script", expired: true, used_at: "2026-01-05T10:00:00Z" }),
  ];
  gateway.on("DELETE /api/me/tokens/apt_1", () => {
    tokens = tokens.filter((t) => t.id !== "apt_1");
    return { status: 204 };
  });
  openConsole("/account");
  const [fresh, old] = await within(await panel()).findAllByRole("listitem");
  expect(fresh?.textContent).toMatch(/Technician on All devices.*Expires/);
  expect(fresh?.textContent).not.toContain("Expired");
  expect(old?.textContent).toContain("Expired");

  const revoke = () => screen.getByRole("button", { name: "Revoke the token Policies from git" });
  await user.click(revoke());
  const asked = await screen.findByRole("dialog", { name: "Revoke this token?" });
  expect(within(asked).getByText(/Programs that use Policies from git/)).toBeTruthy();
  await user.click(within(asked).getByRole("button", { name: "Cancel" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(gateway.requests("DELETE", "/api/me/tokens/apt_1")).toHaveLength(0);

  await user.click(revoke());
  const again = await screen.findByRole("dialog", { name: "Revoke this token?" });
  await user.click(within(again).getByRole("button", { name: "Revoke token" }));
  await waitFor(() => expect(screen.queryByText("Policies from git")).toBeNull());
  expect(gateway.requests("DELETE", "/api/me/tokens/apt_1")).toHaveLength(1);
  expect(screen.getByText("Old script")).toBeTruthy();
});
