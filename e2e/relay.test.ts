import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { chromiumPath, openChromium } from "./browser.ts";
import { buildXapp } from "./desktop.ts";
import { enrollDevice, onlineDevice } from "./device.ts";
import { clickDesktop, connect, keepPeers, totals } from "./live.ts";
import { OtherHost } from "./netns.ts";
import { bin, eventually, freePort, Program, scratch } from "./program.ts";
import { api, setUp, signIn } from "./stack.ts";

/** Device and browser are two hosts behind firewalls that let them reach the gateway and nothing else. */

let far: OtherHost; // the device's
let near: OtherHost; // the browser's
let browser: Browser;
let page: Page;
let app: Program;
let url: string;
let cookie: string;
let device: string;
const port = { console: 0, turn: 0, tls: 0 };
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
  far = await OtherHost.open(1);
  near = await OtherHost.open(2);
  port.console = await freePort();
  port.turn = await freePort();
  port.tls = await freePort();
  const gateway = start([join(bin, "handrail-gateway"), "run", "--data", dir], {
    HANDRAIL_LISTEN: `${far.here}:${port.console}`,
    HANDRAIL_TURN_LISTEN: `${far.here}:${port.turn}`,
    HANDRAIL_TURN_TLS_LISTEN: `${far.here}:${port.tls}`,
  });
  const [line] = await gateway.says(/^Handrail .*https:\/\/.*$/m);
  const setup = line.split(/\s+/).find((w) => w.includes("/setup"));
  url = new URL(setup ?? "").origin;
  // The gateway's own certificate authority is new to this machine; the agent pins it at enrollment.
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  cookie = await setUp({ url, setup });
  await startDevice(dir);
  await startBrowser(dir);
});

afterAll(async () => {
  await browser?.close();
  for (const p of programs.reverse()) await p.stop();
  await near?.close();
  await far?.close();
  await remove?.();
});

async function startDevice(dir: string): Promise<void> {
  const x = start(["Xvfb", "-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"]);
  const display = { DISPLAY: `:${(await x.says(/^(\d+)$/m))[1]}` };
  app = start([await buildXapp(), "-w", "1280", "-h", "720"], display);
  await app.says(/ready/);
  const agent = await enrollDevice({ url, cookie }, dir, "far-away", (argv) => far.on(argv));
  // An organisation that runs its own authority has it in its machines' trust store; TURN over TLS needs it there.
  const trust = { SSL_CERT_FILE: join(dir, "tls/ca.pem") };
  start(agent, { ...display, ...trust });
  device = await onlineDevice({ url, cookie });
}

async function startBrowser(dir: string): Promise<void> {
  const there = join(dir, "chromium-there");
  await writeFile(there, `#!/bin/sh\nexec ${near.on([chromiumPath]).join(" ")} "$@"\n`);
  await chmod(there, 0o755);
  browser = await openChromium(["--ignore-certificate-errors"], there);
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: { width: 1280, height: 800 },
  });
  await keepPeers(context);
  page = await context.newPage();
  await signIn(page, url, cookie);
}

const presses = () => app.said.match(/button_down/g)?.length ?? 0;

type Ports = { tcp?: number[]; udp?: number[] };

/** Sets both firewalls, runs a session through them, and returns how the meter and the record name its path. */
async function session(device_: Ports, browser_: Ports): Promise<{ path: string; joined: string }> {
  await far.firewall({ tcp: [port.console, ...(device_.tcp ?? [])], udp: device_.udp ?? [] });
  await near.firewall({ tcp: [port.console, ...(browser_.tcp ?? [])], udp: browser_.udp ?? [] });
  await page.goto(`${url}/devices/${device}`);
  await connect(page);
  const before = { presses: presses(), frames: (await totals(page)).frames };
  await eventually("a click that arrives", async () => {
    await clickDesktop(page, 640, 360);
    return presses() > before.presses;
  });
  await eventually("a picture of it", async () => (await totals(page)).frames > before.frames);
  await page.getByRole("button", { name: /^Connection/ }).click();
  const meter = page.getByRole("region", { name: "Connection" });
  const path = await eventually("the meter's word", async () => {
    const text = (await meter.textContent()) ?? "";
    return /Path((Over a relay|Direct), (UDP|TCP|TLS))/.exec(text)?.[1];
  });
  const id = /ses_[0-9a-z]+/.exec(page.url())?.[0];
  type Record = { timeline: { kind: string; detail: string }[] };
  const joined = await eventually("the record's word", async () => {
    const { timeline } = await api<Record>(url, cookie, "GET", `/api/sessions/${id}`);
    return timeline.find((e) => e.kind === "viewer_joined")?.detail;
  });
  await api(url, cookie, "POST", `/api/sessions/${id}/end`, { reason: "" });
  await page.getByRole("heading", { name: /ended/i }).waitFor();
  return { path, joined };
}

test("over UDP", async () => {
  const { path, joined } = await session({ udp: [port.turn] }, { udp: [port.turn] });
  expect(path).toBe("Over a relay, UDP");
  expect(joined).toMatch(/relay/);
});

test("over TCP, where no UDP passes", async () => {
  const { path, joined } = await session({ tcp: [port.turn] }, { tcp: [port.turn] });
  expect(path).toBe("Over a relay, TCP");
  expect(joined).toMatch(/relay/);
});

test("over TLS, where nothing else passes", async () => {
  const { path, joined } = await session({ tcp: [port.tls] }, { tcp: [port.tls] });
  expect(path).toBe("Over a relay, TLS");
  expect(joined).toMatch(/relay/);
});

test("the device ends long before the system gives up on a firewall that answers nothing", async () => {
  const agent = programs.at(-1) as Program;
  agent.child.kill("SIGTERM");
  // Within a minute: the system would try a connection for two.
  const code = await eventually("the agent's end", async () => agent.child.exitCode ?? undefined);
  expect(code).toBe(0);
});
