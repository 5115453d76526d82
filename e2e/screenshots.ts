/** The pictures of the documentation: the real console on a real gateway with a simulated fleet. */
import { resolve } from "node:path";
import type { Page } from "playwright-core";
import { openChromium } from "./browser.ts";
import { eventually } from "./program.ts";
import { type Fleet, startFleet } from "./simulated.ts";
import { api, signIn } from "./stack.ts";

const images = resolve(import.meta.dirname, "../docs/images");

interface Item {
  id: string;
  name: string;
  serial: string;
}
interface Policy {
  id: string;
  revision: number;
}

/** What an organisation would have made by then. */
async function furnish({ url, cookie }: Fleet): Promise<{ devices: Item[]; policy: Policy }> {
  const ask = <T>(method: string, path: string, body?: unknown) => api<T>(url, cookie, method, path, body);
  const { items: devices } = await ask<{ items: Item[] }>("GET", "/api/devices?limit=200");
  const ids = devices.map((d) => d.id);
  for (const [i, name] of ["Berlin", "Hamburg", "Kiosks"].entries()) {
    const group = await ask<Item>("POST", "/api/groups", { name, parent_id: "grp_root" });
    const some = ids.slice(i * 40, i * 40 + 40);
    await ask("POST", "/api/devices/bulk", { ids: some, action: "move", group_id: group.id });
  }
  await ask("POST", "/api/labels", {
    name: "Little memory",
    description: "Due for replacement",
    color: "orange",
    kind: "smart",
    expression: "inventory.hardware.memory_bytes <= 8u * 1073741824u",
  });
  const desk = await ask<Item>("POST", "/api/labels", { name: "Front desk", color: "blue", kind: "static" });
  await ask("POST", "/api/devices/bulk", { ids: ids.slice(0, 25), action: "label", label_id: desk.id });
  const owners = ["Ann Example", "Bob Brandt", "Cem Yilmaz"];
  for (const [i, id] of ids.slice(0, 60).entries()) {
    await ask("PATCH", `/api/devices/${id}`, {
      assets: { owner: owners[i % 3], warranty_until: `2027-0${1 + (i % 9)}-15` },
    });
  }
  await ask("POST", "/api/views", {
    name: "Due for replacement",
    filter: "memory<=8GB os=linux",
    columns: ["state", "model", "memory_mib", "compliance", "asset.owner", "asset.warranty_until"],
    shared: true,
  });
  const stages = [
    { percent: 5, soak_seconds: 3600 },
    { percent: 25, soak_seconds: 86_400 },
    { percent: 100, soak_seconds: 0 },
  ];
  const policies = [
    { name: "Remote access", settings: [{ id: "ssh.server", value: { permit_root_login: "no" } }] },
    { name: "Screen lock", settings: [{ id: "screen.lock", value: { idle_seconds: 300 } }], stages },
  ];
  let policy: Policy | undefined;
  for (const { name, settings, stages } of policies) {
    const match = async (method: string, path: string, body: unknown): Promise<Policy> => {
      const answer = await fetch(`${url}/api/policies/${policy?.id}${path}`, {
        method,
        headers: {
          "Content-Type": "application/json",
          Origin: url,
          Cookie: cookie,
          "If-Match": `"${policy?.revision}"`,
        },
        body: JSON.stringify(body),
      });
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      return (await answer.json()) as Policy;
    };
    policy = await ask<Policy>("POST", "/api/policies", { name, description: "For everybody" });
    policy = await match("PUT", "/draft", { settings });
    policy = await match("PUT", "/assignments", {
      assignments: [{ include: { groups: ["grp_root"] }, priority: 100 }],
    });
    policy = await match("POST", "/publish", {
      note: "First version",
      ...(stages ? { rollout: { stages, max_failed_percent: 10 } } : {}),
    });
  }
  if (!policy) throw new Error("no policy");
  return { devices, policy };
}

/** Makes every picture. */
export async function main(): Promise<void> {
  const fleet = await startFleet(200, 1);
  const browser = await openChromium();
  try {
    const { devices, policy } = await furnish(fleet);
    const page = await browser.newPage({
      viewport: { width: 1320, height: 760 },
      colorScheme: "light",
      reducedMotion: "reduce",
    });
    await signIn(page, fleet.url, fleet.cookie);
    await pictures(page, fleet, devices, policy);
  } finally {
    await browser.close();
    await fleet.stop();
  }
}

async function pictures(page: Page, { url, cookie }: Fleet, devices: Item[], policy: Policy): Promise<void> {
  const [one, two] = devices;
  if (!one || !two) throw new Error("no devices");
  const shot = async (name: string) => {
    await page.waitForLoadState("networkidle");
    await page.screenshot({ path: `${images}/${name}.png`, animations: "disabled" });
  };
  const visit = async (path: string, sign: string) => {
    await page.goto(`${url}${path}`);
    await page.getByText(sign).first().waitFor();
  };

  await visit("/devices", "200 devices");
  await page.getByRole("button", { name: /^View/ }).click();
  await page.getByRole("menuitem", { name: "Due for replacement" }).click();
  await page.getByRole("columnheader", { name: "Owner" }).waitFor();
  await shot("devices");

  await visit(`/devices/${one.id}`, "Serial number");
  await shot("device");

  await visit("/labels", "Little memory");
  await page.getByText("Looking…").waitFor({ state: "hidden" });
  await shot("labels");

  await visit("/assets", "Values as a file");
  await page.locator("input[type=file]").setInputFiles({
    name: "assets.csv",
    mimeType: "text/csv",
    buffer: Buffer.from(
      `serial,owner,warranty_until\n${one.serial},Dora Neu,2028-06-30\n${two.serial},Dora Neu,2028-06-30\n`,
    ),
  });
  await page.getByRole("button", { name: "Change 2 devices" }).scrollIntoViewIfNeeded();
  await shot("import");

  const { items } = await api<{ items: Item[] }>(url, cookie, "GET", "/api/software?q=openssl&sort=devices");
  await visit(`/software/${items.find((s) => s.name === "openssl")?.id}`, "Version");
  await shot("software");

  await visit("/devices/duplicates", "more than one record");
  await shot("duplicates");

  await eventually("devices reached", async () => {
    type Rollouts = { items: { progress: { applied: number } }[] };
    const rollouts = await api<Rollouts>(url, cookie, "GET", "/api/rollouts");
    return rollouts.items.some((r) => r.progress.applied > 0);
  });
  await visit("/rollouts", "reached:");
  await shot("rollouts");

  await visit(`/policies/${policy.id}`, "Version 1 rolling out");
  await page.getByRole("button", { name: "Add setting" }).click();
  await page.getByLabel("Search settings").fill("firewall");
  await page.locator(".pick").first().waitFor();
  await shot("policy");

  await visit(`/devices/${one.id}?tab=settings`, "Applied");
  await page.getByRole("button", { name: "Why?" }).first().click();
  await page.getByText("by group All devices").first().waitFor();
  await shot("provenance");

  await visit("/devices?view=all", "200 devices");
  for (const d of devices.slice(0, 3)) await page.getByRole("checkbox", { name: `Choose ${d.name}` }).check();
  await page.getByRole("button", { name: "Run a command…" }).click();
  await page.getByRole("combobox", { name: /^What to do/ }).click();
  await page.getByRole("option").first().waitFor();
  await shot("command");

  await visit("/compliance", "of all checks are met");
  await shot("compliance");
  await visit(`/devices/${one.id}?tab=compliance`, "To mend it");
  await shot("mend");
}
