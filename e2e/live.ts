/** A browser page that looks at the demo device. */
import type { Browser, BrowserContext, Page } from "playwright-core";
import { openChromium } from "./browser.ts";
import { eventually } from "./program.ts";
import { api, type Demo, setUp, signIn, startDemo } from "./stack.ts";

/** The parts of a live session's test. */
export interface Live {
  readonly demo: Demo;
  readonly cookie: string;
  readonly browser: Browser;
  readonly context: BrowserContext;
  readonly page: Page;
  readonly device: string;
  close(): Promise<void>;
}

/** What watch() leaves in the page for the measurements. */
declare global {
  interface Window {
    handrailPeers: RTCPeerConnection[];
  }
}

/** Keeps every RTCPeerConnection a page makes, so that tests can read its statistics. */
export async function keepPeers(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    window.handrailPeers = [];
    const Native = window.RTCPeerConnection;
    window.RTCPeerConnection = class extends Native {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        window.handrailPeers.push(this);
      }
    };
  });
}

/** The only device of the demo, once it is online. */
export async function demoDevice(url: string, cookie: string): Promise<string> {
  type Page = { items: { id: string; name: string; state: string }[] };
  const found = await eventually("demo-desktop online", async () => {
    const { items } = await api<Page>(url, cookie, "GET", "/api/devices");
    return items.find((d) => d.name === "demo-desktop" && d.state === "online");
  });
  return found.id;
}

/** Starts the demo, makes the admin, and opens the device's page; nothing is connected yet. */
export async function openDevicePage(env: Record<string, string> = {}): Promise<Live> {
  const demo = await startDemo(undefined, env);
  const cookie = await setUp(demo);
  const device = await demoDevice(demo.url, cookie);
  const browser = await openChromium();
  const context = await browser.newContext({ viewport: { width: 1920, height: 1200 } });
  await keepPeers(context);
  const page = await context.newPage();
  await signIn(page, demo.url, cookie);
  await page.goto(`${demo.url}/devices/${device}`);
  await page.getByRole("button", { name: "Connect", exact: true }).waitFor();
  return {
    demo,
    cookie,
    browser,
    context,
    page,
    device,
    async close() {
      await browser.close();
      await demo.stop();
    },
  };
}

/** Clicks Connect and waits for the first picture; returns the milliseconds between the two. */
export async function connect(page: Page): Promise<number> {
  const button = page.getByRole("button", { name: "Connect", exact: true });
  await button.waitFor();
  return button.evaluate(
    (element) =>
      new Promise<number>((done, fail) => {
        const limit = setTimeout(() => fail(new Error("no picture within a minute")), 60_000);
        const start = performance.now();
        const seen = new WeakSet<HTMLVideoElement>();
        const look = () => {
          for (const video of document.querySelectorAll("video")) {
            if (seen.has(video)) continue;
            seen.add(video);
            video.requestVideoFrameCallback(() => {
              observer.disconnect();
              clearTimeout(limit);
              done(performance.now() - start);
            });
          }
        };
        const observer = new MutationObserver(look);
        observer.observe(document, { childList: true, subtree: true });
        (element as HTMLElement).click();
        look();
      }),
  );
}

/** Totals over the page's live connections: bytes both ways, video frames and their rate's ingredients. */
export interface Totals {
  readonly bytes: number;
  readonly frames: number;
  readonly at: number;
}

export async function totals(page: Page): Promise<Totals> {
  return page.evaluate(async () => {
    let bytes = 0;
    let frames = 0;
    for (const peer of window.handrailPeers) {
      if (peer.connectionState === "closed") continue;
      for (const [, s] of (await peer.getStats()) as unknown as Map<string, Record<string, unknown>>) {
        if (s.type === "transport") bytes += Number(s.bytesReceived) + Number(s.bytesSent);
        if (s.type === "inbound-rtp") frames += Number(s.framesReceived ?? 0);
      }
    }
    return { bytes, frames, at: performance.now() };
  });
}

/** Clicks a point of the device's desktop, given in its own pixels. */
export async function clickDesktop(page: Page, x: number, y: number): Promise<void> {
  const video = page.locator("video");
  const box = await video.boundingBox();
  if (!box) throw new Error("no video");
  const [width = 1, height = 1] = await video.evaluate((v: HTMLVideoElement) => [
    v.videoWidth,
    v.videoHeight,
  ]);
  const scale = Math.min(box.width / width, box.height / height);
  const left = box.x + (box.width - width * scale) / 2;
  const top = box.y + (box.height - height * scale) / 2;
  await page.mouse.click(left + x * scale, top + y * scale);
}
