import { screen, waitFor, within } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { CatalogueEntry, Policy, Rollout } from "../../api/types.ts";
import { everything, FakeGateway, someGroup, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";
import { editDifferences, mergeEdits } from "./edits.ts";

const wifi: CatalogueEntry = {
  key: "wifi.network",
  title: "Wi-Fi network",
  description: "A network.",
  category: "Network",
  platforms: ["linux"],
  mechanism: "",
  schema: {},
  merge: "priority",
  several: true,
  risk: { cuts_network: false, cuts_sign_in: false, words: "" },
  fields: [
    { name: "ssid", kind: "text", title: "Name (SSID)", description: "", required: true, min: 0 },
    {
      name: "security",
      kind: "text",
      title: "Security",
      description: "",
      min: 0,
      default: "open",
      choices: [
        { value: "open", title: "Everyone can listen" },
        { value: "wpa-psk", title: "WPA2 Personal" },
      ],
    },
  ],
};

const somePolicy = (part: Partial<Policy> = {}): Policy => ({
  id: "pol_1",
  name: "Office",
  description: "",
  assignments: [],
  created_at: "2026-11-20T10:00:00Z",
  updated_at: "2026-11-20T10:00:00Z",
  live: 0,
  newest: 0,
  revision: 1,
  may_manage: true,
  ...part,
});

const draft = (ssid: string): NonNullable<Policy["draft"]> => ({
  at: "2026-11-21T10:00:00Z",
  by: "Ada Marsh",
  base: 0,
  settings: [{ id: "wifi.network/office", value: ssid === "" ? {} : { ssid } }],
});

let gateway: FakeGateway;
let policy: Policy;

beforeEach(() => {
  policy = somePolicy({ draft: draft("Acme") });
  gateway = new FakeGateway()
    .on("GET /api/me", { body: someMe({ permissions: [...everything, "policy.view", "policy.manage"] }) })
    .on("GET /api/groups", { body: { items: [someGroup()] } })
    .on("GET /api/catalogue", { body: { items: [wifi] } })
    .on("GET /api/policies/pol_1", () => ({ body: policy }))
    .on("GET /api/policies/pol_1/diff", {
      body: {
        changes: [
          {
            id: "wifi.network/office",
            kind: "changed",
            fields: [{ path: "security", before: "open", after: "wpa-psk" }],
          },
        ],
      },
    })
    .on("POST /api/policies/pol_1/what-if", {
      body: { devices: 0, changed: 0, settings: [], sample: [], cut: false },
    });
});
afterEach(() => vi.unstubAllGlobals());

describe("two edits of the same settings", () => {
  const at = (id: string, ssid: string) => ({ id, value: { ssid } });
  const base = [at("a", "1"), at("b", "1"), at("c", "1")];

  it("stand together; of what both changed, mine", () => {
    const mine = [at("a", "mine"), at("b", "1"), at("new", "mine")]; // c is taken out
    const theirs = [at("a", "theirs"), at("b", "theirs"), at("c", "1"), at("d", "theirs")];
    expect(mergeEdits(base, mine, theirs)).toEqual([
      at("a", "mine"),
      at("b", "theirs"),
      at("d", "theirs"),
      at("new", "mine"),
    ]);
    expect(editDifferences(base, mine).map((d) => `${d.id} ${d.kind}`)).toEqual([
      "a changed",
      "c removed",
      "new added",
    ]);
  });
});

describe("policy editor", () => {
  const name = () => screen.findByRole("textbox", { name: /Name \(SSID\)/ });

  it("puts what the gateway refuses at its field and goes there", async () => {
    const user = userEvent.setup();
    gateway.on("PUT /api/policies/pol_1/draft", {
      status: 422,
      body: {
        code: "malformed",
        detail: "wifi.network/office: ssid: is 40 bytes long, must be 1 to 32",
        errors: [{ location: "settings[wifi.network/office].ssid", message: "is 40 bytes long" }],
      },
    });
    openConsole("/policies/pol_1");
    await user.type(await name(), "x");
    await user.click(screen.getByRole("button", { name: "Save draft" }));
    expect(await screen.findByText("Is 40 bytes long.")).toBeTruthy();
    expect(
      screen.getByText("1 field needs another look, marked below: in Wi-Fi network: office."),
    ).toBeTruthy();
    await waitFor(async () => expect(document.activeElement).toBe(await name()));
  });

  it("keeps many settings closed to a line each, and opens the one that is refused", async () => {
    const user = userEvent.setup();
    const names = ["annex", "hall", "lab", "office", "yard"];
    policy = somePolicy({
      draft: {
        ...draft(""),
        settings: names.map((n) => ({
          id: `wifi.network/${n}`,
          value: { ssid: `Acme ${n}`, security: "wpa-psk" },
        })),
      },
    });
    gateway.on("PUT /api/policies/pol_1/draft", {
      status: 422,
      body: {
        code: "malformed",
        detail: "wifi.network/lab: ssid: is 40 bytes long, must be 1 to 32",
        errors: [{ location: "settings[wifi.network/lab].ssid", message: "is 40 bytes long" }],
      },
    });
    openConsole("/policies/pol_1");
    const panel = (n: string) => screen.findByRole("region", { name: `Wi-Fi network: ${n}` });
    const toggle = async (n: string) =>
      within(await panel(n)).getByRole("button", { name: /^Wi-Fi network/ });
    expect(
      within(await panel("lab")).getByText("Name (SSID) Acme lab · Security WPA2 Personal"),
    ).toBeTruthy();
    expect(screen.queryByRole("textbox", { name: /SSID/ })).toBeNull();

    // By the keyboard, one of them; what is typed stays when it is closed again.
    (await toggle("hall")).focus();
    await user.keyboard("{Enter}");
    expect((await toggle("hall")).getAttribute("aria-expanded")).toBe("true");
    await user.type(await name(), "x");
    await user.keyboard("{Shift>}{Tab}{/Shift}");
    await user.click(await toggle("hall"));
    expect(within(await panel("hall")).getByText(/^Name \(SSID\) Acme hallx/)).toBeTruthy();

    await user.click(screen.getByRole("button", { name: "Save draft" }));
    expect(
      await screen.findByText(/^1 field needs another look, marked below: in Wi-Fi network: lab/),
    ).toBeTruthy();
    expect((await toggle("lab")).getAttribute("aria-expanded")).toBe("true");
    expect((await toggle("office")).getAttribute("aria-expanded")).toBe("false");
    await waitFor(async () => expect(document.activeElement).toBe(await name()));
    await user.click(await toggle("lab"));
    expect(within(await panel("lab")).getByText("1 field needs another look")).toBeTruthy();

    await user.click(screen.getByRole("button", { name: "Open all" }));
    expect(await screen.findAllByRole("textbox", { name: /SSID/ })).toHaveLength(5);
    await user.click(screen.getByRole("button", { name: "Close all" }));
    await waitFor(() => expect(screen.queryByRole("textbox", { name: /SSID/ })).toBeNull());
  });

  it("saves the draft and goes on to publishing by one click", async () => {
    const user = userEvent.setup();
    gateway.on("PUT /api/policies/pol_1/draft", () => {
      policy = somePolicy({ draft: { ...draft("Acmex"), at: "2026-11-21T11:00:00Z" }, revision: 2 });
      return { body: policy };
    });
    openConsole("/policies/pol_1");
    await user.type(await name(), "x");
    await user.click(screen.getByRole("button", { name: "Review and publish…" }));
    const dialog = await screen.findByRole("dialog", { name: "Publish Office" });
    expect(await within(dialog).findByText("WPA2 Personal")).toBeTruthy();
    expect(within(dialog).getByText(/assigned to nobody yet/)).toBeTruthy();
  });

  it("does not lose what is not saved, neither to another tab nor to a colleague", async () => {
    const user = userEvent.setup();
    const { queryClient } = openConsole("/policies/pol_1");
    await user.type(await name(), "x");
    await user.click(screen.getByRole("tab", { name: /Assignments/ }));
    const dialog = await screen.findByRole("dialog", { name: "Leave without saving?" });
    await user.click(within(dialog).getByRole("button", { name: "Stay" }));
    policy = somePolicy({ draft: { ...draft("Theirs"), at: "2026-11-21T12:00:00Z" }, revision: 2 });
    await queryClient.invalidateQueries({ queryKey: ["policies"] });
    expect(await screen.findByText("Somebody else has changed this policy meanwhile")).toBeTruthy();
    expect(((await name()) as HTMLInputElement).value).toBe("Acmex");
    const theirs = screen.getByRole("region", { name: "What they changed" });
    expect(within(theirs).getByText("Theirs")).toBeTruthy();
    expect(within(screen.getByRole("region", { name: "What you changed" })).getByText("Acmex")).toBeTruthy();
    await user.click(screen.getByRole("button", { name: "Drop mine, go on with theirs" }));
    await waitFor(async () => expect(((await name()) as HTMLInputElement).value).toBe("Theirs"));
  });

  it("puts both edits of different settings together", async () => {
    const user = userEvent.setup();
    const { queryClient } = openConsole("/policies/pol_1");
    await user.type(await name(), "x");
    policy = somePolicy({
      draft: {
        ...draft("Acme"),
        settings: [...(draft("Acme").settings ?? []), { id: "wifi.network/lab", value: { ssid: "Lab" } }],
      },
      revision: 2,
    });
    await queryClient.invalidateQueries({ queryKey: ["policies"] });
    await user.click(await screen.findByRole("button", { name: "Go on with both" }));
    gateway.on("PUT /api/policies/pol_1/draft", () => ({ body: policy }));
    await user.click(screen.getByRole("button", { name: "Save draft" }));
    await waitFor(() =>
      expect(gateway.requests("PUT", "/api/policies/pol_1/draft").at(-1)?.body).toEqual({
        settings: [
          { id: "wifi.network/office", value: { ssid: "Acmex" } },
          { id: "wifi.network/lab", value: { ssid: "Lab" } },
        ],
      }),
    );
  });

  it("does not put old assignments over those of a colleague", async () => {
    const user = userEvent.setup();
    const { queryClient } = openConsole("/policies/pol_1?tab=assignments");
    // Nothing changed here: theirs are taken over, and there is nothing to save.
    await screen.findByText("For nobody yet");
    policy = somePolicy({
      assignments: [{ id: "a1", include: { groups: ["grp_root"] }, priority: 100 }],
      revision: 2,
    });
    await queryClient.invalidateQueries({ queryKey: ["policies"] });
    const priority = await screen.findByRole("textbox", { name: "Priority" });
    expect(screen.queryByRole("button", { name: "Save" })).toBeNull();

    // Changed on both sides: told, with both, and saved only after a look.
    await user.clear(priority);
    await user.type(priority, "7");
    policy = somePolicy({ assignments: [], revision: 3 });
    await queryClient.invalidateQueries({ queryKey: ["policies"] });
    expect(
      within(await screen.findByRole("region", { name: "What they changed" })).getByText("To nobody."),
    ).toBeTruthy();
    expect((screen.getByRole("button", { name: "Save" }) as HTMLButtonElement).disabled).toBe(true);
    await user.click(screen.getByRole("button", { name: "Go on with mine" }));
    await waitFor(() => expect(screen.queryByText(/Somebody else/)).toBeNull());
    expect((screen.getByRole("button", { name: "Save" }) as HTMLButtonElement).disabled).toBe(false);
  });

  it("goes to a setting that is added", async () => {
    const user = userEvent.setup();
    openConsole("/policies/pol_1");
    await user.click(await screen.findByRole("button", { name: "Add setting" }));
    await user.click(
      await within(await screen.findByRole("dialog")).findByRole("button", { name: /Wi-Fi network/ }),
    );
    await user.type(await screen.findByRole("textbox", { name: "Name" }), "home");
    await user.click(screen.getByRole("button", { name: "Add" }));
    const added = await screen.findByRole("region", { name: "Wi-Fi network: home" });
    await waitFor(() => expect(document.activeElement).toBe(added));
    expect(within(added).getByPlaceholderText("Default: Everyone can listen")).toBeTruthy();
  });
});

describe("policies of a group", () => {
  it("are what the gateway says they are", async () => {
    const list = [somePolicy({ id: "pol_1", name: "Office" }), somePolicy({ id: "pol_2", name: "Labs" })];
    gateway.on("GET /api/policies", ({ url }) => ({
      body: { items: url.searchParams.get("group") === "grp_root" ? list.slice(1) : list },
    }));
    openConsole("/policies?group=grp_root");
    expect(await screen.findByRole("link", { name: "Labs" })).toBeTruthy();
    expect(screen.queryByRole("link", { name: "Office" })).toBeNull();
    for (const { search } of gateway.requests("GET", "/api/policies"))
      expect(new URLSearchParams(search).get("group")).toBe("grp_root");
  });
});

describe("roll-out board", () => {
  it("lists the devices behind each number", async () => {
    const user = userEvent.setup();
    const at = "2026-11-23T10:00:00Z";
    const rollout: Rollout = {
      id: "rol_1",
      policy_id: "pol_1",
      policy_name: "Office",
      from: 1,
      to: 2,
      state: "running",
      plan: { max_failed_percent: 5, stages: [{ percent: 100, soak_seconds: 60 }] },
      stage: 0,
      stage_at: at,
      progress: { devices: 3, applied: 0, pending: 1, failed: 2, conflict: 1, total: 3 },
      by: "Ada Marsh",
      created_at: at,
      updated_at: at,
      may_manage: true,
    };
    const on = (name: string, state: string) => ({ device_id: name, name, group_path: ["Office"], state });
    const devices: Record<string, object[]> = {
      pending: [on("desk", "pending")],
      failed: [on("lab", "failed"), on("shop", "conflict")],
    };
    gateway
      .on("GET /api/rollouts", { body: { items: [rollout] } })
      .on("GET /api/rollouts/rol_1/devices", ({ url }) => ({
        body: { items: devices[url.searchParams.get("state") ?? ""] },
      }));
    openConsole("/rollouts");
    await user.click(await screen.findByRole("button", { name: "2 failed" }));
    const list = await screen.findByRole("region", { name: "Devices: failed" });
    await waitFor(() =>
      expect(
        within(list)
          .getAllByRole("link")
          .map((a) => a.textContent),
      ).toEqual(["lab", "shop"]),
    );
    expect(screen.queryByRole("button", { name: "0 applied" })).toBeNull();
    await user.click(screen.getByRole("button", { name: "1 pending" }));
    const other = await screen.findByRole("region", { name: "Devices: pending" });
    expect(await within(other).findByRole("link", { name: "desk" })).toBeTruthy();
  });
});
