import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import type { DeviceGroup, Label, Operator } from "../api/types.ts";
import { FakeGateway, someGroup, someMe } from "../testing/gateway.ts";
import { openConsole } from "../testing/render.tsx";

afterEach(() => vi.unstubAllGlobals());

const refused = { status: 412, body: { code: "stale", detail: "somebody else changed this meanwhile" } };

/** Edits one field, is overtaken, goes on with both, and saves. */
async function goOnWithBoth(within_: HTMLElement, field: RegExp, text: string, theirs: string, mine: string) {
  const user = userEvent.setup();
  const box = within(within_).getByLabelText(field);
  await user.clear(box);
  await user.type(box, text);
  await user.click(within(within_).getByRole("button", { name: "Save" }));
  const told = await within(within_).findByRole("region", { name: "What they changed" });
  expect(told.textContent).toContain(theirs);
  expect(within(within_).getByRole("region", { name: "What you changed" }).textContent).toContain(mine);
  await user.click(within(within_).getByRole("button", { name: "Go on with both" }));
  await user.click(within(within_).getByRole("button", { name: "Save" }));
}

it("keeps both changes of a label", async () => {
  let now: Label = {
    id: "lbl_1",
    name: "Desk",
    description: "",
    color: "gray",
    kind: "smart",
    expression: "true",
    reads: [],
    revision: 1,
    evaluated: true,
    devices: 0,
    created_at: "2026-11-24T10:00:00Z",
    changed_at: "2026-11-24T10:00:00Z",
  };
  const gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe() })
    .on("GET /api/labels", () => ({ body: { items: [now] } }))
    .on("PATCH /api/labels/lbl_1", ({ body }) => {
      if (now.revision === 1) {
        now = { ...now, name: "Desktops", color: "blue", revision: 2 };
        return refused;
      }
      now = { ...now, ...(body as Partial<Label>), revision: 3 };
      return { body: now };
    });
  openConsole("/labels");
  const user = userEvent.setup();
  await user.click(await screen.findByRole("button", { name: "Change Desk" }));
  await user.click(await screen.findByRole("menuitem", { name: "Edit…" }));
  const dialog = await screen.findByRole("dialog");
  await goOnWithBoth(dialog, /^Description/, "With a screen", "Name: Desktops", "Description: With a screen");
  expect(await screen.findByText("With a screen")).toBeTruthy();
  const saved = gateway.requests("PATCH", "/api/labels/lbl_1");
  expect(saved.map((r) => r.ifMatch)).toEqual(['"1"', '"2"']);
  expect(saved.at(-1)?.body).toMatchObject({ name: "Desktops", color: "blue", description: "With a screen" });
});

it("keeps both changes of a group", async () => {
  let now: DeviceGroup[] = [
    someGroup(),
    someGroup({ id: "grp_a", name: "Lab", parent_id: "grp_root", path: ["All devices", "Lab"] }),
    someGroup({ id: "grp_b", name: "Berlin", parent_id: "grp_root", path: ["All devices", "Berlin"] }),
  ];
  const change = (part: Partial<DeviceGroup>) => {
    now = now.map((g) => (g.id === "grp_a" ? { ...g, ...part } : g));
    return now[1];
  };
  const gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe() })
    .on("GET /api/groups", () => ({ body: { items: now } }))
    .on("PATCH /api/groups/grp_a", ({ body }) => {
      if (now[1]?.revision === 1) {
        change({ parent_id: "grp_b", revision: 2 });
        return refused;
      }
      return { body: change({ ...(body as Partial<DeviceGroup>), revision: 3 }) };
    });
  openConsole("/groups");
  const user = userEvent.setup();
  await user.click(await screen.findByRole("button", { name: "Change Lab" }));
  await user.click(await screen.findByRole("menuitem", { name: "Rename or move…" }));
  const dialog = await screen.findByRole("dialog");
  await goOnWithBoth(dialog, /^Name/, "Laboratory", "Below: Berlin", "Name: Laboratory");
  expect(await screen.findByText("Laboratory")).toBeTruthy();
  const saved = gateway.requests("PATCH", "/api/groups/grp_a");
  expect(saved.map((r) => r.ifMatch)).toEqual(['"1"', '"2"']);
  expect(saved.at(-1)?.body).toEqual({ name: "Laboratory" });
});

it("keeps both changes of an operator, and says nothing of one's own", async () => {
  let now: Operator = {
    id: "opr_2",
    name: "Ben",
    email: "ben@example.org",
    disabled: false,
    grants: [],
    revision: 1,
    created_at: "2026-11-24T10:00:00Z",
    manageable: true,
  };
  const role = {
    role: "technician",
    role_name: "Technician",
    group_id: "grp_root",
    group_name: "All devices",
  };
  const gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe() })
    .on("GET /api/groups", { body: { items: [someGroup()] } })
    .on("GET /api/roles", {
      body: {
        items: [{ role: "technician", name: "Technician", summary: "", permissions: [], capabilities: [] }],
      },
    })
    .on("GET /api/operators/opr_2", () => ({ body: now }))
    .on("PATCH /api/operators/opr_2", ({ body }) => {
      if (now.revision === 1) {
        now = { ...now, grants: [role as Operator["grants"][0]], revision: 2 };
        return refused;
      }
      now = { ...now, ...(body as Partial<Operator>), revision: now.revision + 1 };
      return { body: now };
    });
  openConsole("/operators/opr_2");
  const form = await screen.findByRole("region", { name: "Name and roles" });
  await goOnWithBoth(form, /^Name/, "Benno", "Roles: technician on All devices", "Name: Benno");
  expect(await screen.findByRole("heading", { level: 1, name: "Benno" })).toBeTruthy();
  const user = userEvent.setup();
  await user.type(within(form).getByLabelText(/^Name/), " Berg");
  expect(within(form).queryByRole("alert")).toBeNull();
  await user.click(within(form).getByRole("button", { name: "Save" }));
  expect(await screen.findByRole("heading", { level: 1, name: "Benno Berg" })).toBeTruthy();
  const saved = gateway.requests("PATCH", "/api/operators/opr_2");
  expect(saved.map((r) => r.ifMatch)).toEqual(['"1"', '"2"', '"3"']);
  expect(saved[1]?.body).toEqual({ name: "Benno", grants: [{ role: "technician", group_id: "grp_root" }] });
});
