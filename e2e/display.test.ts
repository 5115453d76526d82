import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openChromium } from "./browser.ts";
import { buildXapp } from "./desktop.ts";
import { enrollDevice, onlineDevice } from "./device.ts";
import { connect, keepPeers, totals } from "./live.ts";
import { bin, eventually, Program, run, scratch } from "./program.ts";
import { setUp, signIn } from "./stack.ts";

/** The device's display changes its size and its monitors, and goes away, in the middle of a session. */

let browser: Browser;
let page: Page;
let x: Program;
let display: string;
let remove: () => Promise<void>;
const programs: Program[] = [];

const start = (argv: string[], env: Record<string, string> = {}) => {
  const p = new Program(argv, env);
  programs.push(p);
  return p;
};

const xrandr = (...args: string[]) => run(["xrandr", "-d", display, ...args]);

beforeAll(async () => {
  const { dir, remove: r } = await scratch();
  remove = r;
  const gateway = start([join(bin, "handrail-gateway"), "run", "--data", dir], {
    HANDRAIL_LISTEN: "127.0.0.1:0",
    HANDRAIL_TURN_LISTEN: "off",
  });
  const [line] = await gateway.says(/^Handrail .*http:\/\/.*$/m);
  const setup = line.split(/\s+/).find((w) => w.includes("/setup"));
  const url = new URL(setup ?? "").origin;
  const cookie = await setUp({ url, setup });
  x = start(["Xvfb", "-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp", "-noreset"]);
  display = `:${(await x.says(/^(\d+)$/m))[1]}`;
  const app = [await buildXapp(), "-mode", "scroll", "-rate", "10", "-w", "1280", "-h", "720"];
  await start(app, { DISPLAY: display }).says(/ready/);
  start(await enrollDevice({ url, cookie }, dir, "changing"), { DISPLAY: display });
  browser = await openChromium();
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  await keepPeers(context);
  page = await context.newPage();
  await signIn(page, url, cookie);
  await page.goto(`${url}/devices/${await onlineDevice({ url, cookie })}`);
  await connect(page);
});

afterAll(async () => {
  await browser?.close();
  for (const p of programs.reverse()) await p.stop();
  await remove?.();
});

const size = () =>
  page.locator("video").evaluate((v: HTMLVideoElement) => `${v.videoWidth}x${v.videoHeight}`);
const shows = (want: string) => expect.poll(size, { timeout: 45_000 }).toBe(want);

test("a monitor that is plugged in can be chosen, and unplugged again", async () => {
  await shows("1280x720");
  await xrandr("--setmonitor", "left", "640/200x720/200+0+0", "screen");
  await xrandr("--setmonitor", "right", "640/200x720/200+640+0", "none");
  const picker = page.getByRole("button", { name: "Monitor" });
  await picker.waitFor();
  await picker.click();
  await page.getByRole("menuitemcheckbox", { name: /right/i }).click();
  await shows("640x720");
  await xrandr("--delmonitor", "right");
  await xrandr("--delmonitor", "left");
  await shows("1280x720");
});

test("another resolution is shown as it is", async () => {
  await xrandr("--newmode", "small", "31.5", "640", "664", "704", "832", "480", "489", "491", "520");
  await xrandr("--addmode", "screen", "small");
  await xrandr("--output", "screen", "--mode", "small");
  await shows("640x480");
});

test("an X server that dies and starts again brings the picture back", async () => {
  await x.stop("SIGKILL");
  await expect
    .poll(() =>
      page
        .getByText(/no display|nothing to show/i)
        .first()
        .isVisible(),
    )
    .toBe(true);
  const before = (await totals(page)).frames;
  const again = start([
    "Xvfb",
    display,
    "-displayfd",
    "1",
    "-screen",
    "0",
    "1280x720x24",
    "-nolisten",
    "tcp",
    "-noreset",
  ]);
  await again.says(/^\d+$/m);
  const app = [await buildXapp(), "-mode", "scroll", "-rate", "10", "-w", "1280", "-h", "720"];
  await start(app, { DISPLAY: display }).says(/ready/);
  await eventually("frames again", async () => (await totals(page)).frames > before + 10);
  await shows("1280x720");
});
