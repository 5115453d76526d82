import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible, openChromium } from "./browser.ts";
import { demoDevice } from "./live.ts";
import { eventually } from "./program.ts";
import { type Demo, setUp, signIn, startDemo } from "./stack.ts";

/** The admin's path: a policy written by form, its effect seen before, published, and applied by the device. The tests are its steps, in order. */

let demo: Demo;
let browser: Browser;
let page: Page;
let device: string;

beforeAll(async () => {
  demo = await startDemo();
  const cookie = await setUp(demo);
  device = await demoDevice(demo.url, cookie);
  browser = await openChromium();
  page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  await signIn(page, demo.url, cookie);
});

afterAll(async () => {
  await browser?.close();
  await demo?.stop();
});

const shot = async (name: string) => {
  if (process.env.HANDRAIL_SHOTS)
    await page.screenshot({ path: `${process.env.HANDRAIL_SHOTS}/${name}.png`, fullPage: true });
};

test("a policy is written by form", async () => {
  await page.goto(`${demo.url}/policies`);
  await expectAccessible(page, "policies");
  await page.getByRole("button", { name: "New policy" }).first().click();
  await page.getByLabel("Name").fill("Notice board");
  await page.getByRole("button", { name: "Make policy" }).click();
  await page.getByRole("heading", { level: 1, name: "Notice board" }).waitFor();
  await page.getByRole("button", { name: "Add setting" }).click();
  await page.getByLabel("Search settings").fill("file with content");
  await shot("picker");
  await expectAccessible(page, "setting picker");
  await page.locator(".pick").first().click();
  await page.getByLabel("Name").fill("motd");
  await page.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByRole("textbox", { name: /^Path/ }).fill("/etc/motd.d/handrail");
  await page.getByRole("textbox", { name: /^Content/ }).fill("This device is looked after by Acme.\n");
  await shot("policy-form");
  await expectAccessible(page, "policy form");
  await page.getByRole("textbox", { name: /^Permissions/ }).fill("09x");
  await page.getByRole("button", { name: "Save draft" }).click();
  await page.getByText("The draft was not saved").waitFor();
  await shot("policy-refused");
  await page.getByRole("textbox", { name: /^Permissions/ }).fill("0644");
  await page.getByRole("button", { name: "Save draft" }).click();
  await page.getByText("It reaches no device until it is published").waitFor();
  await shot("policy-draft");
});

test("its effect is seen before it is assigned, and published", async () => {
  await page.getByRole("tab", { name: /Assignments/ }).click();
  await page.getByRole("button", { name: "Add assignment" }).click();
  await page.getByRole("combobox", { name: /^Groups/ }).click();
  await page.getByRole("option", { name: "All devices" }).click();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "What would happen?" }).click();
  await page.getByText("No device changes").waitFor();
  await shot("assignments");
  await expectAccessible(page, "assignments");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("tab", { name: "Assignments · 1" }).waitFor();
  await page.getByRole("tab", { name: /Settings/ }).click();
  await page.getByRole("button", { name: "Review and publish…" }).click();
  await page.getByText("1 of 1 device changes").waitFor();
  await page.getByLabel("Note").fill("For everybody who signs in");
  await shot("publish");
  await expectAccessible(page, "publish");
  await page.getByRole("button", { name: "Publish version 1" }).click();
  await page.getByText("Version 1 in force").waitFor();
});

test("the device applies it and says so, with where it comes from", async () => {
  await page.getByText("1 applied").waitFor();
  await shot("policy-applied");
  const file = join(demo.data, "demo/agent/root/etc/motd.d/handrail");
  expect(await readFile(file, "utf8")).toContain("looked after by Acme");
  await page.goto(`${demo.url}/devices/${device}?tab=settings`);
  const motd = page.getByRole("listitem").filter({ has: page.getByRole("heading", { name: /: motd$/ }) });
  await motd.getByText("Applied", { exact: true }).waitFor();
  await motd.getByRole("button", { name: "Why?" }).click();
  await motd.getByText("by group All devices").waitFor();
  await shot("device-settings");
  await expectAccessible(page, "device settings");
});

test("drift is mended", async () => {
  const file = join(demo.data, "demo/agent/root/etc/motd.d/handrail");
  await writeFile(file, "hacked\n");
  await eventually("the file as it must be", async () => (await readFile(file, "utf8")).includes("Acme"));
  await page.getByText("mended 1 time").waitFor();
});

test("a command is run and its result is there", async () => {
  await page.getByRole("tab", { name: "Commands" }).click();
  await page.getByRole("button", { name: "Run a command…" }).click();
  await page.getByRole("combobox", { name: /^What to do/ }).click();
  await page.getByRole("option", { name: "Refresh inventory" }).click();
  await expectAccessible(page, "command form");
  await page.getByRole("button", { name: "Refresh inventory", exact: true }).click();
  await page.getByText("Done", { exact: true }).waitFor();
  await shot("device-commands");
  await page.goto(`${demo.url}/commands`);
  await page.getByRole("link", { name: "Refresh inventory: demo-desktop" }).waitFor();
  await expectAccessible(page, "commands");
});

test("compliance shows how the device stands, rule by rule", async () => {
  await page.goto(`${demo.url}/compliance`);
  await page.getByText("of all checks are met").waitFor();
  await shot("compliance");
  await expectAccessible(page, "compliance");
  await page.goto(`${demo.url}/devices/${device}?tab=compliance`);
  await page
    .getByRole("heading", { name: /Not compliant|In grace/ })
    .first()
    .waitFor();
  await shot("device-compliance");
  await expectAccessible(page, "device compliance");
});

test("a smart label shows whom it matches and sets itself", async () => {
  await page.goto(`${demo.url}/labels`);
  await page.getByRole("button", { name: "New label" }).first().click();
  await page.getByLabel("Name").fill("Debian");
  await page.getByRole("textbox", { name: /^Expression/ }).fill('device.os_version.startsWith("Debian")');
  await page.getByText("1 device match now").waitFor();
  await expectAccessible(page, "label form");
  await shot("label");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Change Debian" }).waitFor();
  await shot("labels");
  await page.getByRole("link", { name: "1 device with the label Debian" }).waitFor();
  await page.goto(`${demo.url}/devices?q=label:Debian`);
  await page.getByRole("link", { name: "demo-desktop" }).waitFor();
  await expectAccessible(page, "devices by label");
  await shot("devices");
});
