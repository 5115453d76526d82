import { screen } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Compliance } from "../../api/types.ts";
import { everything, FakeGateway, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

const counts = {
  non_compliant: 0,
  error: 0,
  in_grace: 0,
  unknown: 0,
  waived: 0,
  compliant: 12,
  not_applicable: 0,
};
const dashboard = (part: Partial<Compliance>): Compliance => ({
  devices: 12,
  overall: counts,
  score: 100,
  severities: [],
  top_rules: [],
  trend: [],
  checking: 0,
  counted_at: "2026-11-24T10:00:00Z",
  ...part,
});
afterEach(() => vi.unstubAllGlobals());

describe("compliance that is behind", () => {
  const open = (path: string, part: Partial<Compliance>) => {
    new FakeGateway()
      .on("GET /api/me", { body: someMe({ permissions: [...everything, "compliance.view"] }) })
      .on("GET /api/compliance", { body: dashboard(part) });
    return openConsole(path);
  };
  const waiting = { devices: 3, behind_seconds: 40.4 };

  it("says how many devices are not worked out, since when, and of when the numbers are", async () => {
    open("/compliance", { waiting });
    const said = await screen.findByText(/Being worked out/);
    expect(said.textContent).toMatch(
      /^Being worked out: 3 devices, oldest change 40 s ago. Numbers as of \d.*:\d\d:\d\d/,
    );
    expect(said.getAttribute("role")).toBe("status");
  });

  it.each([
    ["nothing is behind", {}],
    ["a change is of this moment", { waiting: { devices: 1, behind_seconds: 0.5 } }],
  ])("says nothing when %s", async (_, part) => {
    open("/compliance", part);
    expect(await screen.findByText(/of all checks are met, on 12 devices/)).toBeTruthy();
    expect(screen.queryByText(/Being worked out/)).toBeNull();
  });
});
