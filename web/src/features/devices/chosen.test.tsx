import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Device } from "../../api/types.ts";
import { FakeGateway, someDevice, someGroup, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

const may = ["device.view", "device.manage", "command.run"];
let gateway: FakeGateway;
let fleet: Device[];
let total: number;

/** The list never has more than its first page; who asks for large pages has all, 30 at a time. */
beforeEach(() => {
  fleet = Array.from({ length: 70 }, (_, i) =>
    someDevice({ id: `dev_${i}`, name: `pc-${String(i).padStart(2, "0")}`, may, state: "offline" }),
  );
  total = fleet.length;
  gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe({ permissions: may }) })
    .on("GET /api/groups", { body: { items: [someGroup(), someGroup({ id: "grp_2", name: "Kiosks" })] } })
    .on("GET /api/sessions", { body: { items: [] } })
    .on("GET /api/labels", { body: { items: [] } })
    .on("GET /api/device-list", { body: { columns: ["state"], view_id: "" } })
    .on("GET /api/views", { body: { items: [] } })
    .on("GET /api/asset-fields", { body: { fields: [] } })
    .on("GET /api/devices", ({ url }) => {
      const after = Number(url.searchParams.get("after") ?? 0);
      if (after > 0 && url.searchParams.get("limit") !== "500") return new Promise(() => {});
      const next = after + 30;
      return {
        body: {
          items: fleet.slice(after, next),
          total,
          ...(next < fleet.length ? { next: String(next) } : {}),
        },
      };
    });
});
afterEach(() => vi.unstubAllGlobals());

const bar = () => screen.findByRole("group", { name: "Chosen devices" });
const tickListed = async (user: ReturnType<typeof userEvent.setup>) =>
  user.click(await screen.findByRole("checkbox", { name: /^Choose the \d+ devices listed$/ }));

it("chooses all that match, not only those that are loaded, and moves them", async () => {
  const user = userEvent.setup();
  gateway.on("POST /api/devices/bulk", { body: { matched: 69, changed: 60, skipped: 1 } });
  openConsole("/devices?q=pc&state=offline");
  await tickListed(user);
  await user.click(
    await within(await bar()).findByRole("button", { name: "Choose all 70 devices that match" }),
  );
  expect(await within(await bar()).findByText("70 devices chosen")).toBeTruthy();
  expect(within(await bar()).queryByRole("button", { name: /^Choose all/ })).toBeNull();
  // The search that is asked for the rest is the one on the screen.
  const asked = gateway.requests("GET", "/api/devices").filter((r) => r.search.includes("limit=500"));
  expect(asked.length).toBeGreaterThan(0);
  for (const r of asked) expect(r.search).toMatch(/q=pc&state=offline/);

  await user.click(within(await bar()).getByRole("button", { name: "Move…" }));
  const dialog = await screen.findByRole("dialog", { name: "Move to a group" });
  await user.click(within(dialog).getByRole("combobox", { name: "Group" }));
  await user.click(await screen.findByRole("option", { name: /Kiosks/ }));
  await user.click(within(dialog).getByRole("button", { name: "Move 70 devices" }));
  await waitFor(() => expect(gateway.requests("POST", "/api/devices/bulk")).toHaveLength(1));
  const sent = gateway.requests("POST", "/api/devices/bulk")[0]?.body as { ids: string[] };
  expect(sent).toMatchObject({ action: "move", group_id: "grp_2" });
  expect(new Set(sent.ids).size).toBe(70);
  await waitFor(() => expect(screen.queryByRole("group", { name: "Chosen devices" })).toBeNull());
});

it("says before anything happens which of the chosen are left out", async () => {
  const user = userEvent.setup();
  fleet = fleet.slice(0, 3);
  total = 3;
  fleet[1] = someDevice({ id: "dev_1", name: "pc-01", may: ["device.view"] });
  openConsole("/devices");
  await tickListed(user);
  await user.click(within(await bar()).getByRole("button", { name: "Label…" }));
  const dialog = await screen.findByRole("dialog", { name: "Give a label" });
  expect(within(dialog).getByText(/^One of the chosen devices is left out/)).toBeTruthy();
  expect(within(dialog).getByRole("button", { name: "Label 2 devices" })).toBeTruthy();
});

it("offers no more than one order takes, and says what to do instead", async () => {
  const user = userEvent.setup();
  total = 12_340;
  openConsole("/devices");
  await tickListed(user);
  expect(await within(await bar()).findByText(/takes 5,000 devices at most: narrow the search/)).toBeTruthy();
  expect(within(await bar()).queryByRole("button", { name: /^Choose all/ })).toBeNull();
});

it("keeps what was chosen when the rest cannot be fetched, and tries again", async () => {
  const user = userEvent.setup();
  const answer = { status: 500, body: { code: "internal", detail: "something went wrong", id: "err_9" } };
  openConsole("/devices");
  await tickListed(user);
  const offer = await within(await bar()).findByRole("button", { name: "Choose all 70 devices" });
  gateway.on("GET /api/devices", answer);
  await user.click(offer);
  expect(await within(await bar()).findByText("Not all could be chosen")).toBeTruthy();
  expect(within(await bar()).getByText(/^\d+ devices chosen$/).textContent).not.toBe("70 devices chosen");
  expect(within(await bar()).getByRole("button", { name: "Choose all 70 devices" })).toBeTruthy();
});

it("asks for the number before many people are interrupted", async () => {
  const user = userEvent.setup();
  gateway
    .on("POST /api/commands/preview", { body: { devices: 70, online: 12, sample: [] } })
    .on("POST /api/commands", {
      body: { bulk_id: "blk_1", bulk: { devices: 70 }, commands: [], existed: false },
    })
    .on("GET /api/command-kinds", {
      body: {
        items: [{ kind: "restart", title: "Restart", description: "", risk: "interrupts", parameters: [] }],
      },
    });
  openConsole("/devices");
  await tickListed(user);
  await user.click(await within(await bar()).findByRole("button", { name: "Choose all 70 devices" }));
  await within(await bar()).findByText("70 devices chosen");
  await user.click(within(await bar()).getByRole("button", { name: "Run a command…" }));
  const dialog = await screen.findByRole("dialog", { name: "Run a command on 70 devices" });
  await user.click(await within(dialog).findByRole("combobox", { name: /What to do/ }));
  await user.click(await screen.findByRole("option", { name: "Restart" }));
  const number = await within(dialog).findByRole("textbox", { name: /^Type 70 to say/ });
  await user.type(number, "7");
  await user.click(within(dialog).getByRole("button", { name: "Restart on 70 devices" }));
  expect(await within(dialog).findByText(/That is not how many devices this reaches: 70/)).toBeTruthy();
  expect(gateway.requests("POST", "/api/commands")).toHaveLength(0);
  await user.type(number, "0");
  await user.click(within(dialog).getByRole("button", { name: "Restart on 70 devices" }));
  await waitFor(() => expect(gateway.requests("POST", "/api/commands")).toHaveLength(1));
  const sent = gateway.requests("POST", "/api/commands")[0]?.body as { devices: string[] };
  expect(sent).toMatchObject({ kind: "restart", expect_devices: 70 });
  expect(sent.devices).toHaveLength(70);
});
