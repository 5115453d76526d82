import { screen, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import type { ComplianceRule } from "../../api/types.ts";
import { everything, FakeGateway, noCounts, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

const rule: ComplianceRule = {
  slug: "own-vpn",
  title: "The VPN client is installed",
  description: "",
  category: "",
  severity: "medium",
  grace_hours: 0,
  applies: "",
  expression: "inventory.vpn",
  evidence: "",
  remediation: "",
  enabled: false,
  shipped: false,
  revision: 1,
  changed_at: "2026-11-24T10:00:00Z",
  frameworks: [],
  counts: noCounts,
};

afterEach(() => vi.unstubAllGlobals());

it("keeps both changes when somebody else saved the rule meanwhile", async () => {
  const user = userEvent.setup();
  let now = rule;
  const gateway = new FakeGateway()
    .on("GET /api/me", {
      body: someMe({ permissions: [...everything, "compliance.view", "compliance.manage"] }),
    })
    .on("GET /api/compliance/rules/own-vpn", () => ({ body: now }))
    .on("GET /api/compliance/waivers", { body: { items: [] } })
    .on("PUT /api/compliance/rules/own-vpn", ({ body }) => {
      if (now.revision === 1) {
        now = { ...rule, title: "The VPN works", severity: "high", revision: 2 };
        return { status: 412, body: { code: "changed", detail: "the rule has changed" } };
      }
      now = { ...now, ...(body as ComplianceRule), revision: 3 };
      return { body: now };
    });
  openConsole("/compliance/rules/own-vpn");
  await user.click(await screen.findByRole("button", { name: "Edit…" }));
  const dialog = await screen.findByRole("dialog");
  const expression = within(dialog).getByLabelText(/^Expression/);
  await user.clear(expression);
  await user.type(expression, "inventory.vpn.running");
  await user.click(within(dialog).getByRole("button", { name: "Save" }));

  const overtaken = await within(dialog).findByText("Somebody else has changed this rule meanwhile");
  expect(overtaken).toBeTruthy();
  expect(within(dialog).getByRole("region", { name: "What they changed" }).textContent).toContain(
    "Title: The VPN works",
  );
  expect(within(dialog).getByRole("region", { name: "What you changed" }).textContent).toContain(
    "Expression: inventory.vpn.running",
  );
  await user.click(within(dialog).getByRole("button", { name: "Go on with both" }));
  await user.click(within(dialog).getByRole("button", { name: "Save" }));
  expect(await screen.findByRole("heading", { level: 1, name: "The VPN works" })).toBeTruthy();
  const saved = gateway.requests("PUT", "/api/compliance/rules/own-vpn").at(-1)?.body as ComplianceRule;
  expect([saved.title, saved.severity, saved.expression]).toEqual([
    "The VPN works",
    "high",
    "inventory.vpn.running",
  ]);
});
