import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeGateway, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

let gateway: FakeGateway;

beforeEach(() => {
  gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe() })
    .on("GET /api/asset-fields", { body: { fields: [{ key: "owner", name: "Owner", kind: "text" }] } })
    .on("PUT /api/asset-fields", ({ body }) => ({ body }));
});
afterEach(() => vi.unstubAllGlobals());

const file = (text: string) => new File([text], "assets.csv", { type: "text/csv" });
const seen = { rows: 2, devices: 1, changed: 1, applied: false, problems: [], preview: [] };

describe("asset fields", () => {
  it("are made with a key of their own", async () => {
    const user = userEvent.setup();
    openConsole("/assets");
    await user.click(await screen.findByRole("button", { name: "New field" }));
    const dialog = await screen.findByRole("dialog", { name: "New field" });
    await user.type(within(dialog).getByRole("textbox", { name: /^Name/ }), "Owner");
    expect(within(dialog).getByText("In files and searches: owner_2")).toBeTruthy();
    await user.click(within(dialog).getByRole("button", { name: "Save" }));
    await waitFor(() =>
      expect(gateway.requests("PUT", "/api/asset-fields")[0]?.body).toEqual({
        fields: [
          { key: "owner", name: "Owner", kind: "text" },
          { key: "owner_2", name: "Owner", kind: "text" },
        ],
      }),
    );
  });

  it("are only read by who may not change them", async () => {
    gateway.on("GET /api/me", { body: someMe({ permissions: ["device.view"] }) });
    openConsole("/assets");
    expect(await screen.findByText("Owner")).toBeTruthy();
    expect(screen.queryByRole("button", { name: "New field" })).toBeNull();
    expect(screen.queryByRole("button", { name: "Import a file…" })).toBeNull();
  });
});

describe("an import", () => {
  const choose = async (user: ReturnType<typeof userEvent.setup>, text: string) =>
    user.upload(await screen.findByLabelText("CSV file to import"), file(text));

  it("shows what changes before anything does", async () => {
    const user = userEvent.setup();
    gateway.on("POST /api/assets/import", ({ url }) =>
      url.searchParams.get("dry_run") === "true"
        ? {
            body: {
              ...seen,
              preview: [
                {
                  row: 2,
                  device_id: "dev_1",
                  name: "pc-a",
                  changes: [{ field: "owner", from: "", to: "Ann" }],
                },
              ],
            },
          }
        : { body: { ...seen, applied: true } },
    );
    openConsole("/assets");
    await choose(user, "name,owner\npc-a,Ann\n");
    const table = await screen.findByRole("table", { name: "What would change" });
    expect(within(table).getByRole("link", { name: "pc-a" })).toBeTruthy();
    expect(within(table).getByText("Ann")).toBeTruthy();
    const sent = () => gateway.requests("POST", "/api/assets/import");
    expect(sent()).toHaveLength(1);
    await user.click(screen.getByRole("button", { name: "Change 1 device" }));
    await waitFor(() => expect(sent()).toHaveLength(2));
    expect(sent()[1]).toMatchObject({ search: "", body: "name,owner\npc-a,Ann\n" });
  });

  it("says which rows are wrong and changes nothing", async () => {
    const user = userEvent.setup();
    gateway.on("POST /api/assets/import", {
      body: { ...seen, problems: [{ row: 3, message: 'no device of yours has the name "pc-x"' }] },
    });
    openConsole("/assets");
    await choose(user, "name,owner\npc-a,Ann\npc-x,Bob\n");
    expect(await screen.findByText('Row 3: no device of yours has the name "pc-x"')).toBeTruthy();
    expect(screen.queryByRole("button", { name: /^Change/ })).toBeNull();
  });

  it("says why a file cannot be read at all", async () => {
    const user = userEvent.setup();
    gateway.on("POST /api/assets/import", {
      status: 422,
      body: { code: "malformed", detail: "no column is an asset field" },
    });
    openConsole("/assets");
    await choose(user, "name\npc-a\n");
    expect(await screen.findByText("assets.csv cannot be imported")).toBeTruthy();
    expect(screen.getByText("No column is an asset field.")).toBeTruthy();
  });
});
