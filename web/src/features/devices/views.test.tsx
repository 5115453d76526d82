import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { View } from "../../api/types.ts";
import { FakeGateway, someDevice, someGroup, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

let gateway: FakeGateway;

const someView = (part: Partial<View> = {}): View => ({
  id: "view_1",
  name: "Little memory",
  filter: "memory<=8GB",
  sort: "",
  columns: ["state", "memory_mib"],
  shared: false,
  mine: true,
  created_at: "2026-11-20T10:00:00Z",
  ...part,
});

beforeEach(() => {
  gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe() })
    .on("GET /api/groups", { body: { items: [someGroup()] } })
    .on("GET /api/asset-fields", { body: { fields: [{ key: "owner", name: "Owner", kind: "text" }] } })
    .on("GET /api/device-list", { body: { columns: [], view_id: "" } })
    .on("GET /api/views", { body: { items: [someView()] } })
    .on("GET /api/devices", { body: { items: [someDevice()], total: 1 } });
});
afterEach(() => vi.unstubAllGlobals());

const headers = async () => {
  await screen.findByRole("table", { name: "Devices" });
  return screen.getAllByRole("columnheader").map((h) => h.textContent);
};

describe("views of the device list", () => {
  it("opens the one that is one's first, and leads to all devices", async () => {
    const user = userEvent.setup();
    gateway.on("GET /api/device-list", { body: { columns: [], view_id: "view_1" } });
    const { router } = openConsole("/devices");
    await user.click(await screen.findByRole("button", { name: /Little memory/ }));
    expect(router.state.location.search).toEqual({ q: "memory<=8GB", view: "view_1" });
    expect(await headers()).toEqual(["Choose", "Name", "State", "Memory", "Connect"]);
    await user.click(await screen.findByRole("menuitem", { name: /^All devices/ }));
    await waitFor(() => expect(router.state.location.search).toEqual({ view: "all" }));
  });

  it("does not open it for a link that asks for something else", async () => {
    gateway.on("GET /api/device-list", { body: { columns: [], view_id: "view_1" } });
    const { router } = openConsole("/devices?state=offline");
    await screen.findByRole("table", { name: "Devices" });
    expect(router.state.location.search).toEqual({ state: "offline" });
  });

  it("keeps the whole filter and the columns under a name", async () => {
    const user = userEvent.setup();
    gateway.on("POST /api/views", ({ body }) => ({
      status: 201,
      body: { ...someView(), id: "view_2", ...(body as object) },
    }));
    openConsole("/devices?q=ann&state=online");
    await user.click(await screen.findByRole("button", { name: "Views" }));
    await user.click(await screen.findByRole("menuitem", { name: "Save this as a view…" }));
    const dialog = await screen.findByRole("dialog", { name: "Save as a view" });
    await user.type(within(dialog).getByRole("textbox", { name: "Name" }), "Ann");
    await user.click(within(dialog).getByRole("button", { name: "Save view" }));
    await waitFor(() => expect(gateway.requests("POST", "/api/views")).toHaveLength(1));
    expect(gateway.requests("POST", "/api/views")[0]?.body).toEqual({
      name: "Ann",
      shared: false,
      filter: "ann state:online",
      sort: "",
      columns: ["state", "os_version", "labels", "group", "last_seen"],
    });
  });
});

describe("columns of the device list", () => {
  it("are chosen, moved by keyboard, and remembered for the person", async () => {
    const user = userEvent.setup();
    gateway.on("PUT /api/device-list", ({ body }) => ({ body }));
    openConsole("/devices");
    await user.click(await screen.findByRole("button", { name: "Columns" }));
    const dialog = await screen.findByRole("dialog", { name: "Columns" });
    await user.click(within(dialog).getByRole("button", { name: "Add Owner" }));
    await user.click(within(dialog).getByRole("button", { name: "Leave out Labels" }));
    const up = () => within(dialog).getByRole("button", { name: "Move Owner up" });
    up().focus();
    await user.keyboard("{Enter}");
    expect(within(dialog).getByText("Owner is now column 4 of 5.")).toBeTruthy();
    expect(document.activeElement).toBe(up());
    await user.click(within(dialog).getByRole("button", { name: "Show these" }));
    await waitFor(() =>
      expect(gateway.requests("PUT", "/api/device-list")[0]?.body).toEqual({
        columns: ["state", "os_version", "group", "asset.owner", "last_seen"],
        view_id: "",
      }),
    );
    expect(await headers()).toEqual([
      "Choose",
      "Name",
      "State",
      "System",
      "Group",
      "Owner",
      "Last seen",
      "Connect",
    ]);
    const link = screen.getByRole("link", { name: "Export" }).getAttribute("href") ?? "";
    expect(new URL(link, "http://x").searchParams.get("columns")).toBe(
      "name,state,os_version,group,asset.owner,last_seen",
    );
  });
});

describe("suspected duplicates", () => {
  const pair = {
    id: "dup_1",
    reason: "serial",
    value: "5CG1 (M)",
    devices: [someDevice({ id: "dev_2", name: "new" }), someDevice({ id: "dev_1", name: "old" })],
  };

  it("are kept, or one is retired for the other", async () => {
    const user = userEvent.setup();
    gateway
      .on("GET /api/devices/duplicates", { body: { items: [pair] } })
      .on("PUT /api/devices/duplicates/dup_1/kept", { status: 204 })
      .on("POST /api/devices/dev_2/replace", { body: pair.devices[0] });
    openConsole("/devices/duplicates");
    await screen.findByRole("heading", { name: "The same serial number, 5CG1 (M)" });
    await user.click(screen.getByRole("button", { name: "Keep both" }));
    await waitFor(() =>
      expect(gateway.requests("PUT", "/api/devices/duplicates/dup_1/kept")).toHaveLength(1),
    );
    await user.click(screen.getByRole("button", { name: /^Retire old/ }));
    const dialog = await screen.findByRole("dialog", { name: "Retire old?" });
    await user.click(within(dialog).getByRole("button", { name: "Retire it" }));
    await waitFor(() =>
      expect(gateway.requests("POST", "/api/devices/dev_2/replace")[0]?.body).toEqual({ old_id: "dev_1" }),
    );
  });

  it("are only looked at by who may not judge", async () => {
    const devices = pair.devices.map((d) => ({ ...d, may: ["device.view"] }));
    gateway.on("GET /api/devices/duplicates", { body: { items: [{ ...pair, devices }] } });
    openConsole("/devices/duplicates");
    await screen.findByRole("heading", { name: "The same serial number, 5CG1 (M)" });
    expect(screen.queryByRole("button", { name: "Keep both" })).toBeNull();
    expect(screen.queryByRole("button", { name: /^Retire/ })).toBeNull();
  });
});
