import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible, openChromium } from "./browser.ts";
import { demoDevice } from "./live.ts";
import { eventually } from "./program.ts";
import { api, type Demo, setUp, signIn, startDemo } from "./stack.ts";

/** What a newcomer sees of policies and compliance: a device under the sample policy, and the one rule it breaks mended by a click. */

let demo: Demo;
let browser: Browser;
let page: Page;
let cookie: string;
let device: string;

const shot = async (name: string) => {
  if (process.env.HANDRAIL_SHOTS)
    await page.screenshot({ path: `${process.env.HANDRAIL_SHOTS}/${name}.png`, fullPage: true });
};

beforeAll(async () => {
  demo = await startDemo();
  cookie = await setUp(demo);
  device = await demoDevice(demo.url, cookie);
  browser = await openChromium();
  page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  await signIn(page, demo.url, cookie);
});

afterAll(async () => {
  await browser?.close();
  await demo?.stop();
});

interface Standing {
  overall: string;
  counts: Record<string, number>;
  items: { rule: string; state: string }[];
}

const standing = () => api<Standing>(demo.url, cookie, "GET", `/api/devices/${device}/compliance`);

test("the sample policy is published and all of it applied", async () => {
  await page.goto(`${demo.url}/policies`);
  await page.getByRole("link", { name: "Workstation baseline" }).click();
  await page.getByText("Version 1 in force").waitFor();
  await page.getByText("1 applied").first().waitFor();
  type Setting = { id: string; state: string };
  await eventually("every setting applied", async () => {
    const { settings } = await api<{ settings: Setting[] }>(
      demo.url,
      cookie,
      "GET",
      `/api/devices/${device}/settings`,
    );
    return settings.length >= 14 && settings.every((s) => s.state === "applied");
  });
  await shot("sample-policy");
  const sudo = join(demo.data, "demo/agent/root/etc/sudoers.d/zz-handrail-defaults");
  expect(await readFile(sudo, "utf8")).toContain("use_pty");
});

test("the device meets every rule but one, which counts at once", async () => {
  const c = await eventually("the standing under the policy", async () => {
    const c = await standing();
    return c.counts.non_compliant === 1 && c.counts.unknown === 0 && c;
  });
  expect(
    c.items.filter((i) => !["compliant", "not_applicable"].includes(i.state)).map((i) => i.rule),
  ).toEqual(["screen-lock-enforced"]);
  expect(c.counts.compliant).toBeGreaterThan(60);
  await page.goto(`${demo.url}/compliance`);
  await page.getByText("People cannot turn the screen lock off").waitFor();
  await shot("sample-compliance");
});

test("one click mends it while one watches", async () => {
  await page.goto(`${demo.url}/devices/${device}?tab=compliance`);
  await page.getByRole("heading", { name: "Not compliant · 1 rule" }).waitFor();
  await shot("sample-broken");
  await expectAccessible(page, "one broken rule");
  await page.getByRole("button", { name: "Mend it" }).click();
  await page
    .getByRole("status")
    .getByText(/^Compliant/)
    .waitFor();
  await expect.poll(() => page.getByRole("heading", { name: /Not compliant/ }).count()).toBe(0);
  await shot("sample-mended");
  const lock = join(demo.data, "demo/agent/root/etc/dconf/db/handrail.d/locks");
  expect(await readdir(lock)).not.toEqual([]);
});

test("a script of the library runs on the device and changes nothing of this machine", async () => {
  const parameters = { script_id: "scr_diskusage", parameters: { path: "/etc", depth: 1 } };
  const c = await outcome("run_script", parameters);
  expect(c.state).toBe("succeeded");
  expect(c.output).toContain("The largest directories below /etc");
  const who = await outcome("run_script", { interpreter: "sh", body: "id -u" });
  expect(who.output?.trim()).not.toBe("0");
});

test("a script of the library is copied to be changed", async () => {
  await page.goto(`${demo.url}/scripts`);
  await page.getByRole("link", { name: "Disk usage report" }).waitFor();
  await shot("scripts");
  await expectAccessible(page, "scripts");
  await page.getByRole("link", { name: "Disk usage report" }).click();
  await page.getByText("comes with Handrail and cannot be changed").waitFor();
  await shot("script");
  await expectAccessible(page, "shipped script");
  await page.getByRole("link", { name: "Copy" }).click();
  await expect.poll(() => page.getByLabel(/^Name/).first().inputValue()).toBe("Copy of Disk usage report");
  await page.getByRole("button", { name: "Add to the library" }).click();
  await page.getByRole("heading", { level: 1, name: "Copy of Disk usage report" }).waitFor();
  await page.getByRole("button", { name: "Archive" }).waitFor();
});

test("the next start finds the device as it was", async () => {
  await demo.program.stop("SIGINT");
  const again = await startDemo(demo);
  try {
    await demoDevice(again.url, cookie);
    await eventually("compliant", async () => (await standing()).overall === "compliant");
  } finally {
    await again.stop();
  }
});

test("what would act on the machine under the device is refused in words", async () => {
  const again = await startDemo(demo);
  try {
    await demoDevice(again.url, cookie);
    for (const [kind, parameters] of [
      ["restart", { delay_seconds: 0 }],
      ["sign_out", {}],
      ["restart_service", { unit: "cups" }],
    ] as const) {
      const c = await outcome(kind, parameters);
      expect(`${c.state}: ${c.message}`).toContain("failed: this is a sample device");
    }
    const logs = await outcome("collect_logs", {});
    expect(logs.state).toBe("succeeded");
  } finally {
    await again.stop();
  }
});

interface Command {
  id: string;
  state: string;
  message?: string;
  output?: string;
}

/** Orders a command and returns what came of it. */
async function outcome(kind: string, parameters: unknown): Promise<Command> {
  const made = await api<{ commands: Command[] }>(demo.url, cookie, "POST", "/api/commands", {
    kind,
    parameters,
    devices: [device],
  });
  return eventually(`the end of ${kind}`, async () => {
    const c = await api<Command>(demo.url, cookie, "GET", `/api/commands/${made.commands[0]?.id}`);
    return ["failed", "succeeded"].includes(c.state) && c;
  });
}
