import { readFile } from "node:fs/promises";
import type { Browser, Download, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible, openChromium } from "./browser.ts";
import { type Fleet, startFleet } from "./simulated.ts";
import { api, signIn } from "./stack.ts";

/** The admin's day with a fleet: find, keep the search, choose columns, export, note assets, follow numbers. The tests are its steps, in order. */

const devices = 200;
let fleet: Fleet;
let browser: Browser;
let page: Page;

beforeAll(async () => {
  fleet = await startFleet(devices, 2);
  browser = await openChromium();
  page = await browser.newPage({
    viewport: { width: 1400, height: 1000 },
    acceptDownloads: true,
    reducedMotion: "reduce", // what fades in is not measured half-way
  });
  await signIn(page, fleet.url, fleet.cookie);
}, 240_000);

afterAll(async () => {
  await browser?.close();
  await fleet?.stop();
});

const shot = async (name: string) => {
  if (process.env.HANDRAIL_SHOTS)
    await page.screenshot({ path: `${process.env.HANDRAIL_SHOTS}/${name}.png`, fullPage: true });
};

/** The rows of a CSV file without quotes in its cells' text beyond what a writer must quote. */
async function rowsOf(download: Download): Promise<string[][]> {
  const text = await readFile(await download.path(), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(,|$)/g)].map((m) => m[1] ?? ""))
    .map((cells) => cells.slice(0, -1).map((c) => c.replace(/^"|"$/g, "").replaceAll('""', '"')));
}

/** How many devices the list says it has. */
async function listed(): Promise<number> {
  const text = await page
    .getByRole("status")
    .filter({ hasText: /^[\d,]+ devices?$/ })
    .innerText();
  return Number(text.replace(/\D/g, ""));
}

test("a search is kept as a view, with its columns", async () => {
  await page.goto(`${fleet.url}/devices`);
  await page.getByText(`${devices} devices`, { exact: true }).waitFor();
  await page.getByRole("searchbox", { name: "Search devices" }).fill("memory<=8GB");
  await page.waitForURL(/q=memory/);
  await page.getByRole("button", { name: "Columns" }).click();
  await expectAccessible(page, "columns");
  await page.getByRole("button", { name: "Leave out Labels" }).click();
  await page.getByRole("button", { name: "Add Memory" }).click();
  await page.getByRole("button", { name: "Add Compliance" }).click();
  await page.getByRole("button", { name: "Move Memory up" }).press("Enter");
  await page.getByRole("button", { name: "Show these" }).click();
  await page.getByRole("columnheader", { name: "Memory" }).waitFor();
  const headers = await page.getByRole("columnheader").allInnerTexts();
  expect(headers.filter((h) => !["Choose", "Connect"].includes(h))).toEqual([
    "Name",
    "State",
    "System",
    "Group",
    "Memory",
    "Last seen",
    "Compliance",
  ]);
  await page.getByRole("button", { name: /^View/ }).click();
  await page.getByRole("menuitem", { name: "Save this as a view…" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("Little memory");
  await page.getByRole("switch", { name: "Shared" }).check({ force: true });
  await expectAccessible(page, "save a view");
  await page.getByRole("button", { name: "Save view" }).click();
  await page.getByRole("button", { name: "View: Little memory" }).waitFor();
  await shot("view");
  await expectAccessible(page, "a view");
});

test("the list opens with it, and can be opened without", async () => {
  const few = await listed();
  expect(few).toBeGreaterThan(0);
  expect(few).toBeLessThan(devices);
  await page.getByRole("button", { name: /^View/ }).click();
  await page.getByRole("menuitem", { name: "Open devices with this view" }).click();
  await page.getByText("Devices open with Little memory from now on.").waitFor();
  await page.goto(`${fleet.url}/devices`);
  await page.getByRole("button", { name: "View: Little memory" }).waitFor();
  await page.getByText(`${few} devices`, { exact: true }).waitFor();
  await page.getByRole("button", { name: /^View/ }).click();
  await page.getByRole("menuitem", { name: /^All devices/ }).click();
  await page.getByText(`${devices} devices`, { exact: true }).waitFor();
});

test("the export holds every device of the filter, not only those in sight", async () => {
  await page.goto(`${fleet.url}/devices?q=os%3Alinux&view=all`);
  await page.getByText(`${devices} devices`, { exact: true }).waitFor();
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("link", { name: "Export" }).click(),
  ]);
  const rows = await rowsOf(download);
  expect(rows[0]).toEqual([
    "id",
    "name",
    "state",
    "os_version",
    "group",
    "memory_mib",
    "last_seen",
    "compliance",
  ]);
  expect(rows.length).toBe(devices + 1);
  expect(new Set(rows.slice(1).map((r) => r[0])).size).toBe(devices);
});

test("asset fields are made, imported after a look, and shown", async () => {
  type Devices = { items: { id: string; name: string; serial: string }[] };
  const { items } = await api<Devices>(
    fleet.url,
    fleet.cookie,
    "GET",
    "/api/devices?limit=3&q=-serial:SIMTWIN",
  );
  const [one, two] = items;
  if (!one || !two) throw new Error("no devices");
  await page.goto(`${fleet.url}/assets`);
  await page.getByRole("button", { name: "Add the field Price" }).click();
  await page.getByRole("button", { name: "Edit Price" }).waitFor();
  await expectAccessible(page, "asset fields");
  const choose = (text: string) =>
    page.locator("input[type=file]").setInputFiles({
      name: "assets.csv",
      mimeType: "text/csv",
      buffer: Buffer.from(text),
    });
  await choose(`serial,owner,price\n${one.serial},Ann Example,900\nnone,Bob,cheap\n${two.serial},Cem,many\n`);
  await page.getByText("2 problems").waitFor();
  await page.getByText('Row 3: no device of yours has the serial "none"').waitFor();
  await page.getByText('Row 4: Price: "many" is no number').waitFor();
  await shot("import");
  await expectAccessible(page, "import with problems");
  await choose(`serial,owner,price\n${one.serial},Ann Example,900\n${two.serial},Cem,\n`);
  await page.getByText("2 rows: 2 devices found, 2 would change.").waitFor();
  await page.getByRole("button", { name: "Change 2 devices" }).click();
  await page.getByText("2 devices changed.").waitFor();
  await page.goto(`${fleet.url}/devices?q=asset.owner%3Aann&view=all`);
  await page.getByRole("link", { name: one.name }).click();
  await page.getByRole("heading", { name: "Asset", exact: true }).waitFor();
  await page.getByText("Ann Example").waitFor();
  await page.getByRole("button", { name: "Change the asset fields" }).click();
  await page.getByRole("textbox", { name: "Owner" }).fill("Dora Neu");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("dialog").waitFor({ state: "hidden" });
  await page.getByText("Dora Neu").waitFor();
  await expectAccessible(page, "a device with assets");
});

test("a number of software leads to as many devices", async () => {
  await page.goto(`${fleet.url}/software`);
  await page.getByRole("searchbox", { name: "Search software" }).fill("openssl");
  await page.waitForURL(/q=openssl/);
  await page.getByRole("link", { name: "openssl", exact: true }).first().waitFor();
  await shot("software");
  await expectAccessible(page, "software");
  const link = page.getByRole("link", { name: /^\d+ devices? with openssl$/ }).first();
  const count = Number(await link.innerText());
  expect(count).toBeGreaterThan(0);
  await link.click();
  await page.getByText("Software openssl", { exact: true }).waitFor();
  expect(await listed()).toBe(count);
  await page.goBack();
  await page.getByRole("link", { name: "openssl", exact: true }).first().click();
  await page.getByRole("heading", { level: 1, name: "openssl" }).waitFor();
  const versions = page.getByRole("link", { name: /^\d+ devices? with version / });
  await versions.first().waitFor();
  await shot("title");
  await expectAccessible(page, "a title");
  const least = Number(await versions.first().innerText());
  await versions.first().click();
  await page.getByText(/^Software openssl \S+/).waitFor();
  expect(await listed()).toBe(least);
});

test("all devices that match are chosen and labelled, not only those that are loaded", async () => {
  const label = await api<{ id: string }>(fleet.url, fleet.cookie, "POST", "/api/labels", {
    name: "Spring clean",
    kind: "static",
  });
  await page.goto(`${fleet.url}/devices?view=all`);
  await page.getByText(`${devices} devices`, { exact: true }).waitFor();
  await page.getByRole("checkbox", { name: /^Choose the \d+ devices listed$/ }).click();
  await page.getByRole("button", { name: `Choose all ${devices} devices` }).click();
  await page.getByText(`${devices} devices chosen`).waitFor();
  await shot("all-chosen");
  await expectAccessible(page, "all devices chosen");
  await page.getByRole("button", { name: "Label…" }).click();
  await page.getByRole("combobox", { name: "Label" }).click();
  await page.getByRole("option", { name: "Spring clean" }).click();
  await page.getByRole("button", { name: `Label ${devices} devices` }).click();
  await page.getByText(`${devices} devices changed.`).waitFor();
  const found = await api<{ total: number }>(
    fleet.url,
    fleet.cookie,
    "GET",
    `/api/devices?limit=1&label=${label.id}`,
  );
  expect(found.total).toBe(devices);
});

test("suspected duplicates are told, kept or retired", async () => {
  await page.goto(`${fleet.url}/devices/duplicates`);
  await page.getByText("2 machines with more than one record").waitFor();
  await shot("duplicates");
  await expectAccessible(page, "duplicates");
  await page.getByRole("button", { name: "Keep both" }).first().click();
  await page.getByText("1 machine with more than one record").waitFor();
  await page
    .getByRole("button", { name: /^Retire / })
    .first()
    .click();
  await page.getByRole("button", { name: "Retire it" }).click();
  await page.getByText("No duplicates").waitFor();
  await page.getByText("Said to be several").click();
  await page.getByRole("button", { name: "Suspect again" }).waitFor();
  await page.goto(`${fleet.url}/devices?state=revoked`);
  await page.getByText("1 device", { exact: true }).waitFor();
});

test("roll-outs are one click from anywhere", async () => {
  await page.getByRole("link", { name: "Roll-outs" }).click();
  await page.getByRole("heading", { level: 1, name: "Roll-outs" }).waitFor();
  await page.getByText("No roll-outs yet").waitFor();
  await expectAccessible(page, "roll-outs");
});
