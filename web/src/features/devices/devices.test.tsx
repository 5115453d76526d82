import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeGateway, someDevice, someGroup, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

let gateway: FakeGateway;

beforeEach(() => {
  gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe() })
    .on("GET /api/groups", { body: { items: [someGroup()] } })
    .on("GET /api/sessions", { body: { items: [] } });
});
afterEach(() => vi.unstubAllGlobals());

describe("device page", () => {
  const show = (part: Parameters<typeof someDevice>[0]) => {
    gateway
      .on("GET /api/devices/dev_1", { body: someDevice(part) })
      .on("GET /api/devices/dev_1/inventory", { body: { sections: {}, changed_at: {} } });
    openConsole("/devices/dev_1");
  };

  it("offers Connect to who may control, and moves the focus to the heading", async () => {
    show({});
    expect(await screen.findByRole("button", { name: "Connect" })).toBeTruthy();
    const heading = screen.getByRole("heading", { level: 1, name: "reception-1" });
    await waitFor(() => expect(document.activeElement).toBe(heading));
  });

  it("offers View to who may only look", async () => {
    show({ may: ["device.view", "session.view"], capabilities: ["view"] });
    expect(await screen.findByRole("button", { name: "View" })).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Connect" })).toBeNull();
    expect(screen.queryByRole("button", { name: "More about this device" })).toBeNull();
  });

  it("offers nothing on a revoked device and says so", async () => {
    show({ state: "revoked", revoked_at: "2026-11-21T10:00:00Z" });
    expect(await screen.findByText(/was cut off/)).toBeTruthy();
    expect(screen.queryByRole("button", { name: "Connect" })).toBeNull();
  });

  it("says in words that a device does not exist", async () => {
    openConsole("/devices/dev_2");
    expect(await screen.findByRole("heading", { name: "No such device" })).toBeTruthy();
  });

  it("revokes only after a second yes", async () => {
    const user = userEvent.setup();
    gateway.on("POST /api/devices/dev_1/revoke", { status: 204 });
    show({});
    await user.click(await screen.findByRole("button", { name: "More about this device" }));
    await user.click(await screen.findByRole("menuitem", { name: "Revoke…" }));
    expect(gateway.requests("POST", "/api/devices/dev_1/revoke")).toHaveLength(0);
    const dialog = await screen.findByRole("dialog", { name: "Revoke reception-1?" });
    await user.click(within(dialog).getByRole("button", { name: "Revoke" }));
    await waitFor(() => expect(gateway.requests("POST", "/api/devices/dev_1/revoke")).toHaveLength(1));
  });
});

describe("device list", () => {
  it("leads to enrollment when there is no device", async () => {
    gateway.on("GET /api/devices", { body: { items: [] } });
    openConsole("/devices");
    const link = await screen.findByRole("link", { name: "Enroll the first device" });
    expect(link.getAttribute("href")).toBe("/enrollment");
  });

  it("asks the gateway for what is typed, and says when nothing matches", async () => {
    const user = userEvent.setup();
    gateway.on("GET /api/devices", { body: { items: [] } });
    const { router } = openConsole("/devices");
    await user.type(await screen.findByRole("searchbox", { name: "Search devices" }), "kiosk");
    expect(await screen.findByText("No device matches")).toBeTruthy();
    expect(router.state.location.search).toEqual({ q: "kiosk" });
    expect(gateway.requests("GET", "/api/devices").some((r) => r.search.includes("q=kiosk"))).toBe(true);
  });

  it("shows why it failed, with the id to quote, and tries again", async () => {
    const user = userEvent.setup();
    let broken = true;
    gateway.on("GET /api/devices", () =>
      broken
        ? {
            status: 500,
            body: { code: "internal", detail: "something went wrong in the gateway (err_7)", id: "err_7" },
          }
        : { body: { items: [] } },
    );
    openConsole("/devices");
    const alert = await screen.findByRole("alert");
    expect(within(alert).getByText("Something went wrong in the gateway.")).toBeTruthy();
    expect(within(alert).getByText("err_7")).toBeTruthy();
    broken = false;
    await user.click(within(alert).getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("No devices yet")).toBeTruthy();
  });
});
