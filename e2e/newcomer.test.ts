import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible, openChromium, pictureColours } from "./browser.ts";
import { awaitFocus } from "./desktop.ts";
import { clickDesktop, connect } from "./live.ts";
import { eventually } from "./program.ts";
import { admin, type Demo, startDemo } from "./stack.ts";

/** The newcomer's path: from the setup link to typing on the demo desktop. The tests are its steps, in order. */

let demo: Demo;
let browser: Browser;
let page: Page;
const complaints: string[] = [];

beforeAll(async () => {
  demo = await startDemo();
  browser = await openChromium();
  page = await browser.newPage({ viewport: { width: 1600, height: 1000 } });
  page.on("pageerror", (e) => complaints.push(String(e)));
  page.on("console", (m) => {
    if (m.type() === "error" && /Content Security Policy|Refused to/.test(m.text()))
      complaints.push(m.text());
  });
});

afterAll(async () => {
  await browser?.close();
  await demo?.stop();
});

test("the setup link makes the first admin", async () => {
  expect(demo.setup).toMatch(/\/setup#.{20,}/);
  await page.goto(demo.setup as string);
  await page.getByLabel("Organisation").fill(admin.organisation);
  await expectAccessible(page, "setup");
  await page.getByLabel("Your name").fill(admin.name);
  await page.getByLabel("Email").fill(admin.email);
  await page.getByLabel(/^Password/).fill(admin.password);
  await page.getByRole("button", { name: "Create admin account" }).click();
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForURL((u) => u.pathname === "/");
});

test("the setup link works only once", async () => {
  const answer = await fetch(`${demo.url}/api/setup`);
  expect(answer.status).toBe(404);
});

test("a page that the network lost half of loads again, and else says what to do", async () => {
  const context = await browser.newContext();
  const fresh = await context.newPage();
  let lost = 0;
  await fresh.route("**/assets/index-*.js", (route) => (lost++ === 0 ? route.abort() : route.continue()));
  await fresh.goto(demo.url);
  await fresh.getByRole("button", { name: "Sign in" }).waitFor();
  expect(lost).toBeGreaterThan(1);

  await fresh.unroute("**/assets/index-*.js");
  await fresh.route("**/assets/index-*.js", (route) => route.abort());
  await fresh.reload();
  await fresh.getByRole("alert").getByText("could not load").waitFor();
  await fresh.unroute("**/assets/index-*.js");
  await fresh.getByRole("button", { name: "Load again" }).click();
  await fresh.getByRole("button", { name: "Sign in" }).waitFor();
  await context.close();
});

test("the demo device is online and has told about itself", async () => {
  await page.getByRole("link", { name: "Devices", exact: true }).first().click();
  await expect.poll(() => page.getByRole("link", { name: "demo-desktop" }).first().isVisible()).toBe(true);
  await expectAccessible(page, "devices");
  await page.getByRole("link", { name: "demo-desktop" }).first().click();
  await page.getByRole("heading", { name: "demo-desktop" }).waitFor();
  await page.getByRole("button", { name: "Connect", exact: true }).waitFor();
  await expect.poll(async () => await page.locator("main").textContent()).toContain("Debian");
  await expect.poll(async () => await page.locator("main").textContent()).toMatch(/1920\s*[x×]\s*1080/);
  await expectAccessible(page, "device");
});

test("Connect shows the live desktop", async () => {
  await connect(page);
  await expect.poll(() => pictureColours(page), { timeout: 45_000 }).toBeGreaterThan(8);
  const size = await page.locator("video").evaluate((v: HTMLVideoElement) => [v.videoWidth, v.videoHeight]);
  expect(size).toEqual([1920, 1080]);
  await expectAccessible(page, "session");
});

test("typing and clicking reach the desktop's programs", async () => {
  const proof = join(demo.data, "demo/home/proof.txt");
  await clickDesktop(page, 400, 300); // the terminal
  await awaitFocus(demo, /Terminal/);
  await page.keyboard.type("echo Grüße, 世界 '€' > proof.txt\n", { delay: 15 });
  const text = await eventually("the file the terminal wrote", async () => {
    const t = await readFile(proof, "utf8").catch(() => "");
    return t.endsWith("\n") && t;
  });
  expect(text).toBe("Grüße, 世界 €\n");
});

test("ending the session leaves a record", async () => {
  const id = /ses_[0-9a-z]+/.exec(page.url())?.[0];
  expect(id).toBeDefined();
  await page.getByRole("button", { name: "End session" }).click();
  await page.getByRole("button", { name: "End for everybody?" }).click();
  await page.goto(`${demo.url}/sessions/${id}`);
  await expect.poll(async () => await page.locator("main").textContent()).toContain(admin.name);
  await expect.poll(async () => await page.locator("main").textContent()).toMatch(/ended/i);
  await expectAccessible(page, "session record");
});

test("no page broke the content security policy or threw", () => {
  expect(complaints).toEqual([]);
});

test("the next start finds the same data and asks for no setup", async () => {
  await demo.program.stop("SIGINT");
  const again = await startDemo(demo);
  try {
    expect(again.setup).toBeUndefined();
    const answer = await fetch(`${again.url}/api/sign-in`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Origin: again.url },
      body: JSON.stringify({ email: admin.email, password: admin.password }),
    });
    expect(answer.status).toBeLessThan(300);
  } finally {
    await again.stop();
  }
});
