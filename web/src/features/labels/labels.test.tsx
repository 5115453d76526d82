import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, expect, it, vi } from "vitest";
import { FakeGateway, someGroup, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

afterEach(() => vi.unstubAllGlobals());

it("marks the place of a misspelt name and puts it right by one click", async () => {
  const user = userEvent.setup();
  const found = { looked: 3, matches: 2, unknown: 0, partial: false, reads: [], sample: [] };
  new FakeGateway()
    .on("GET /api/me", { body: someMe() })
    .on("GET /api/groups", { body: { items: [someGroup()] } })
    .on("GET /api/labels", { body: { items: [] } })
    .on("POST /api/labels/preview", ({ body }) =>
      (body as { expression: string }).expression.includes("inventory.disk.")
        ? {
            body: {
              ...found,
              matches: 0,
              error: {
                line: 1,
                column: 10,
                message: 'inventory has no section "disk"; did you mean "disks"?',
              },
            },
          }
        : { body: found },
    );
  openConsole("/labels");
  await user.click((await screen.findAllByRole("button", { name: "New label" }))[0] as HTMLElement);
  const dialog = await screen.findByRole("dialog", { name: "New label" });
  const field = within(dialog).getByRole("textbox", { name: /Expression/ });
  await user.type(field, "inventory.disk.size() > 1");
  const alert = await within(dialog).findByRole("alert");
  expect(within(alert).getByText(/^Line 1, column 10: Inventory has no section/)).toBeTruthy();
  await user.click(await within(alert).findByRole("button", { name: "Use “disks”" }));
  expect((field as HTMLTextAreaElement).value).toBe("inventory.disks.size() > 1");
  expect(await within(dialog).findByText("2 devices match now.")).toBeTruthy();
  await waitFor(() => expect(within(dialog).queryByRole("alert")).toBeNull());
});
