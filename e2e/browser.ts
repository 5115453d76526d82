/** Debian's Chromium, driven by playwright-core. No tool downloads a browser. */
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

/** The program that openChromium starts. */
export const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Starts Chromium without a screen. WebRTC on loopback needs no real network. */
export async function openChromium(
  extra: readonly string[] = [],
  executablePath = chromiumPath,
): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath,
    args: [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
      ...extra,
    ],
  });
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => {
    const context = await newContext(options);
    context.setDefaultTimeout(90_000); // half a minute, as it is by itself, is little for a busy machine
    return context;
  };
  return browser;
}

/** Waits until nothing that ends moves: what is half faded in has no contrast yet. */
async function atRest(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const moves = () =>
      document
        .getAnimations()
        .some((a) => a.playState === "running" && a.effect?.getComputedTiming().iterations !== Infinity);
    for (let still = 0; still < 3; still = moves() ? 0 : still + 1)
      await new Promise((next) => requestAnimationFrame(next));
  });
}

/** Fails when the page, at rest, has a serious or critical accessibility finding. */
export async function expectAccessible(page: Page, where: string): Promise<void> {
  await atRest(page);
  await page.evaluate(axe.source);
  const findings = await page.evaluate(async () => {
    type Run = { violations: { id: string; impact: string; nodes: { html: string }[] }[] };
    const run = (globalThis as unknown as { axe: { run(): Promise<Run> } }).axe;
    const { violations } = await run.run();
    return violations
      .filter((v) => v.impact === "serious" || v.impact === "critical")
      .map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 160)).join(" | ")}`);
  });
  expect(findings, `accessibility of ${where}`).toEqual([]);
}

/** How many different colours a 32x18 sample of the live picture has; 0 when there is none. */
export async function pictureColours(page: Page): Promise<number> {
  return page.evaluate(() => {
    const video = document.querySelector("video");
    if (!video?.videoWidth) return 0;
    const canvas = document.createElement("canvas");
    canvas.width = 32;
    canvas.height = 18;
    const g = canvas.getContext("2d");
    if (!g) return 0;
    g.drawImage(video, 0, 0, 32, 18);
    const px = g.getImageData(0, 0, 32, 18).data;
    const seen = new Set<number>();
    for (let i = 0; i < px.length; i += 4)
      seen.add(((px[i] ?? 0) << 16) | ((px[i + 1] ?? 0) << 8) | (px[i + 2] ?? 0));
    return seen.size;
  });
}
