import { screen, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Policy } from "../../api/types.ts";
import { everything, FakeGateway, someGroup, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

let gateway: FakeGateway;

const policy = (id: string, name: string, groups: string[]): Policy => ({
  id,
  name,
  description: "",
  assignments: [{ include: { groups }, priority: 0 }],
  created_at: "2026-11-20T10:00:00Z",
  updated_at: "2026-11-20T10:00:00Z",
  live: 1,
  newest: 1,
  revision: 1,
  may_manage: true,
});

beforeEach(() => {
  gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe({ permissions: [...everything, "policy.view"] }) })
    .on("GET /api/groups", {
      body: {
        items: [
          someGroup({ devices: 0, devices_below: 1234, policies: 2 }),
          someGroup({
            id: "grp_kiosk",
            name: "Kiosks",
            parent_id: "grp_root",
            path: ["All devices", "Kiosks"],
            devices: 30,
            devices_below: 34,
            policies: 1,
          }),
          // Where somebody may not see devices or policies, the gateway gives no numbers.
          someGroup({ id: "grp_lab", name: "Lab", parent_id: "grp_root", path: ["All devices", "Lab"] }),
        ],
      },
    });
});
afterEach(() => vi.unstubAllGlobals());

it("counts the devices and policies of each group, and leads to them", async () => {
  openConsole("/groups");
  const all = await screen.findByRole("link", { name: "1,234 devices in All devices" });
  expect(all.getAttribute("href")).toBe("/devices?group=grp_root");
  expect(screen.getByText("all in groups below")).toBeTruthy();
  expect(screen.getByRole("link", { name: "34 devices in Kiosks" })).toBeTruthy();
  expect(screen.getByText("4 of them in groups below")).toBeTruthy();
  const policies = screen.getByRole("link", { name: "1 policy of Kiosks" });
  expect(policies.getAttribute("href")).toBe("/policies?group=grp_kiosk");
  expect(screen.getByRole("link", { name: "Devices in Lab" })).toBeTruthy();
  expect(screen.queryByRole("link", { name: /of Lab$/ })).toBeNull();
});

it("asks for the policies of one group", async () => {
  gateway.on("GET /api/policies", ({ url }) => ({
    body: {
      items:
        url.searchParams.get("group") === "grp_kiosk"
          ? [policy("pol_2", "Kiosk screens", ["grp_kiosk"])]
          : [policy("pol_1", "Everybody", ["grp_root"])],
    },
  }));
  openConsole("/policies?group=grp_kiosk");
  const table = await screen.findByRole("table", { name: "Policies" });
  expect(await within(table).findByRole("link", { name: "Kiosk screens" })).toBeTruthy();
  expect(within(table).queryByRole("link", { name: "Everybody" })).toBeNull();
  expect(screen.getByRole("combobox", { name: "Assigned to" })).toHaveProperty("value", "Kiosks");
});
