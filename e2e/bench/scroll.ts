/** A full screen of dense text, scrolling at 25 steps a second. */
import { setTimeout as wait } from "node:timers/promises";
import { cpuSeconds, pidsOf, startXapp } from "../desktop.ts";
import { connect, openDevicePage, totals } from "../live.ts";
import { type Benchmark, summarise } from "./figure.ts";

const seconds = 20;

export const scroll: Benchmark = {
  bars: [
    { name: "scroll_fps", unit: "frames/s", bar: 24, better: "higher" },
    { name: "scroll_delay_ms", unit: "ms", bar: 50, better: "lower" },
    { name: "scroll_kbyte_s", unit: "kB/s", bar: 250, better: "lower" },
    { name: "scroll_cpu_pct", unit: "% of a core", bar: 75, better: "lower" },
  ],
  async run() {
    const live = await openDevicePage();
    const app = await startXapp(live.demo, "-mode", "scroll");
    try {
      const { page, demo } = live;
      await connect(page);
      await wait(5000); // the network estimate climbs
      const pids = [...(await pidsOf(demo, "handrail-agent")), ...(await pidsOf(demo, "Xvfb"))];
      const cpu = async () => (await Promise.all(pids.map(cpuSeconds))).reduce((a, b) => a + b, 0);
      const fps: number[] = [];
      const rate: number[] = [];
      const load: number[] = [];
      const delays: number[] = [];
      for (let second = 0; second < seconds; second++) {
        const [t0, c0] = [await totals(page), await cpu()];
        const stamps = await page.evaluate(readStamps, 1000);
        const [t1, c1] = [await totals(page), await cpu()];
        const took = (t1.at - t0.at) / 1000;
        fps.push(new Set(stamps.map((s) => s.drawn)).size / (stamps.at(-1)?.window ?? 1));
        rate.push((t1.bytes - t0.bytes) / 1000 / took);
        load.push(((c1 - c0) / took) * 100);
        delays.push(...stamps.map((s) => s.delay));
      }
      return [
        summarise("scroll_fps", fps),
        summarise("scroll_delay_ms", delays),
        summarise("scroll_kbyte_s", rate),
        summarise("scroll_cpu_pct", load),
      ];
    } finally {
      await app.stop();
      await live.close();
    }
  },
};

/** Runs in the page: reads the time stamp in each presented frame for some milliseconds. `window` is the time looked at, in seconds. */
function readStamps(forMs: number): Promise<{ drawn: number; delay: number; window: number }[]> {
  const block = 16;
  const video = document.querySelector("video");
  const canvas = document.createElement("canvas");
  canvas.width = 34 * block;
  canvas.height = block;
  const g = canvas.getContext("2d", { willReadFrequently: true });
  if (!video || !g) throw new Error("no video");
  const white = (px: Uint8ClampedArray, i: number) =>
    (px[((block / 2) * canvas.width + i * block + block / 2) * 4] ?? 0) > 127;
  return new Promise((done) => {
    const seen: { drawn: number; delay: number; window: number }[] = [];
    const start = performance.now();
    const look = () => {
      g.drawImage(video, 0, 0, 1920, 1080);
      const px = g.getImageData(0, 0, canvas.width, block).data;
      if (white(px, 0) && !white(px, 1)) {
        let drawn = 0;
        for (let bit = 0; bit < 32; bit++) drawn = drawn * 2 + (white(px, bit + 2) ? 1 : 0);
        const now = Math.floor(performance.timeOrigin + performance.now()) % 2 ** 32;
        seen.push({ drawn, delay: now - drawn, window: 0 });
      }
      if (performance.now() - start < forMs) video.requestVideoFrameCallback(look);
      else done(seen.map((s) => ({ ...s, window: (performance.now() - start) / 1000 })));
    };
    video.requestVideoFrameCallback(look);
  });
}
