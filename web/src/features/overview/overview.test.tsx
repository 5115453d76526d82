import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { everything, FakeGateway, noCounts, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

const permissions = [...everything, "policy.view", "policy.manage", "compliance.view"];
const overview = (total: number) => ({
  attention: [],
  devices: { total, online: total },
  sessions: { live: 0, waiting: 0 },
});

let gateway: FakeGateway;
beforeEach(() => {
  gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe({ permissions }) })
    .on("GET /api/overview", { body: overview(12) })
    .on("GET /api/policies", { body: { items: [] } })
    .on("GET /api/rollouts", { body: { items: [] } })
    .on("GET /api/sessions", { body: { items: [] } })
    .on("GET /api/compliance", {
      body: {
        devices: 12,
        checking: 0,
        score: 90,
        overall: { ...noCounts, in_grace: 5, compliant: 7 },
        severities: [],
        top_rules: [
          {
            slug: "encrypted",
            title: "The system volume is encrypted",
            severity: "critical",
            counts: { ...noCounts, in_grace: 5 },
            has_fix: false,
          },
          {
            slug: "umask",
            title: "New files are not for everybody",
            severity: "low",
            counts: { ...noCounts, in_grace: 9 },
            has_fix: false,
          },
        ],
        trend: [],
      },
    });
});
afterEach(() => vi.unstubAllGlobals());

describe("overview", () => {
  it("leads a newcomer through the first steps", async () => {
    gateway.on("GET /api/overview", { body: overview(0) });
    openConsole("/");
    const steps = await screen.findByRole("region", { name: "First steps" });
    expect(within(steps).getAllByRole("listitem")).toHaveLength(4);
    const enroll = within(steps).getByRole("link", { name: "Enroll the first device" });
    expect(enroll.getAttribute("href")).toBe("/enrollment");
  });

  it("names what is critical before its grace ends, and counts devices with links to them", async () => {
    openConsole("/");
    const row = await screen.findByRole("link", {
      name: /The system volume is encrypted.*5 devices still in grace/,
    });
    expect(row.getAttribute("href")).toBe("/compliance/rules/encrypted");
    expect(screen.queryByText("New files are not for everybody")).toBeNull();
    const figures = screen.getByRole("region", { name: "Compliance" });
    expect(
      within(figures)
        .getByRole("link", { name: /^5\s*in grace/ })
        .getAttribute("href"),
    ).toBe("/devices?compliance=in_grace");
  });

  it("says that all is well only when everything was heard", async () => {
    const user = userEvent.setup();
    gateway.on("GET /api/compliance", { status: 500, body: { code: "internal", detail: "not now" } });
    openConsole("/");
    await screen.findByText("What management asks for could not be loaded");
    expect(screen.queryByText(/All is well/)).toBeNull();
    gateway.on("GET /api/compliance", {
      body: {
        devices: 0,
        checking: 0,
        score: 0,
        overall: noCounts,
        severities: [],
        top_rules: [],
        trend: [],
      },
    });
    await user.click(screen.getByRole("button", { name: "Try again" }));
    await waitFor(() => expect(screen.getByText(/All is well/)).toBeTruthy());
  });
});
