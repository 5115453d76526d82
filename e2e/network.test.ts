import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openChromium } from "./browser.ts";
import { buildXapp } from "./desktop.ts";
import { enrollDevice, onlineDevice } from "./device.ts";
import { connect, keepPeers, totals } from "./live.ts";
import { OtherHost } from "./netns.ts";
import { bin, eventually, Program, scratch } from "./program.ts";
import { api, setUp, signIn } from "./stack.ts";

/** The device is another host. Its cable is pulled for ten seconds. */

let host: OtherHost;
let browser: Browser;
let page: Page;
let url: string;
let cookie: string;
const programs: Program[] = [];
let remove: () => Promise<void>;

const start = (argv: string[], env: Record<string, string> = {}) => {
  const p = new Program(argv, env);
  programs.push(p);
  return p;
};

beforeAll(async () => {
  const { dir, remove: r } = await scratch();
  remove = r;
  host = await OtherHost.open();
  const gateway = start([join(bin, "handrail-gateway"), "run", "--data", dir], {
    HANDRAIL_LISTEN: `${host.here}:0`,
    HANDRAIL_TURN_LISTEN: `${host.here}:0`,
    HANDRAIL_TURN_TLS_LISTEN: "off",
  });
  const [line] = await gateway.says(/^Handrail .*https:\/\/.*$/m);
  const setup = line.split(/\s+/).find((w) => w.includes("/setup"));
  url = new URL(setup ?? "").origin;
  // The gateway's own certificate authority is new to this machine; the agent pins it at enrollment.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  cookie = await setUp({ url, setup });
  const x = start(["Xvfb", "-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"]);
  const display = { DISPLAY: `:${(await x.says(/^(\d+)$/m))[1]}` };
  const app = start(
    [await buildXapp(), "-mode", "scroll", "-rate", "10", "-w", "1280", "-h", "720"],
    display,
  );
  await app.says(/ready/);
  start(await enrollDevice({ url, cookie }, dir, "far-away", (argv) => host.on(argv)), display);

  browser = await openChromium(["--ignore-certificate-errors"]);
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  await keepPeers(context);
  page = await context.newPage();
  await signIn(page, url, cookie);
  await page.goto(`${url}/devices/${await onlineDevice({ url, cookie })}`);
  await connect(page);
});

afterAll(async () => {
  await browser?.close();
  for (const p of programs.reverse()) await p.stop();
  await host?.close();
  await remove?.();
});

const state = async () => {
  const id = /ses_[0-9a-z]+/.exec(page.url())?.[0];
  return (await api<{ state: string }>(url, cookie, "GET", `/api/sessions/${id}`)).state;
};

test("ten seconds without a network, and back within two", async () => {
  await eventually("session live", async () => (await state()) === "live");
  await eventually("frames", async () => (await totals(page)).frames > 20);
  await host.unplug();
  await wait(10_000);
  const away = (await totals(page)).frames;
  await host.plug();
  const plugged = Date.now();
  await eventually("a frame after the cable is back", async () => (await totals(page)).frames > away, 20_000);
  expect(Date.now() - plugged).toBeLessThan(2000);
  expect(await state()).toBe("live");
});

test("the record names the loss and the return, and no second consent", async () => {
  const id = /ses_[0-9a-z]+/.exec(page.url())?.[0];
  type Record = { timeline: { kind: string }[] };
  const kinds = await eventually("viewer returned", async () => {
    const { timeline } = await api<Record>(url, cookie, "GET", `/api/sessions/${id}`);
    const k = timeline.map((e) => e.kind);
    return k.includes("viewer_returned") && k;
  });
  expect(kinds.filter((k) => /consent/.test(k)).length).toBeLessThanOrEqual(1);
});
