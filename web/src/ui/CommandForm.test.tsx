import { screen, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { everything, FakeGateway, someDevice, someGroup, someMe } from "../testing/gateway.ts";
import { openConsole } from "../testing/render.tsx";

let gateway: FakeGateway;

beforeEach(() => {
  gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe({ permissions: [...everything, "command.run"] }) })
    .on("GET /api/groups", { body: { items: [someGroup()] } })
    .on("GET /api/devices/dev_1", { body: someDevice({ may: [...everything, "command.run"] }) })
    .on("GET /api/devices/dev_1/inventory", { body: { sections: {}, changed_at: {} } })
    .on("GET /api/commands", { body: { items: [] } })
    .on("POST /api/commands/preview", {
      body: { devices: 1, online: 1, sample: [{ id: "dev_1", name: "reception-1" }] },
    });
});
afterEach(() => vi.unstubAllGlobals());

it("takes text for a parameter that the gateway gives no choices for", async () => {
  const user = userEvent.setup();
  gateway.on("GET /api/command-kinds", {
    body: {
      items: [
        {
          kind: "restart_service",
          title: "Restart a service",
          description: "",
          risk: "interrupts",
          parameters: [
            {
              name: "unit",
              kind: "text",
              title: "Service",
              description: "",
              required: true,
              min: 0,
              choices: [],
            },
          ],
        },
      ],
    },
  });
  openConsole("/devices/dev_1?tab=commands");
  await user.click(await screen.findByRole("button", { name: "Run a command…" }));
  const dialog = await screen.findByRole("dialog");
  await user.click(await within(dialog).findByRole("combobox", { name: /What to do/ }));
  await user.click(await screen.findByRole("option", { name: "Restart a service" }));
  await user.type(await within(dialog).findByRole("textbox", { name: /Service/ }), "cups");
  expect(within(dialog).getByRole("button", { name: "Restart a service" })).toBeTruthy();
});
