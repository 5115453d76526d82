/** A key in the browser to the changed pixel in the browser. */
import { startXapp } from "../desktop.ts";
import { connect, openDevicePage } from "../live.ts";
import { type Benchmark, summarise } from "./figure.ts";

const presses = 120;

export const keyToPixel: Benchmark = {
  bars: [{ name: "key_to_pixel_ms", unit: "ms", bar: 25, better: "lower", p95: 40 }],
  async run() {
    const live = await openDevicePage();
    const app = await startXapp(
      live.demo,
      "-mode",
      "flash",
      "-x",
      "760",
      "-y",
      "390",
      "-w",
      "400",
      "-h",
      "300",
    );
    try {
      const { page } = live;
      await connect(page);
      // The device's pointer decides who gets keys: click into the window once.
      const box = await page.locator("video").boundingBox();
      if (!box) throw new Error("no video");
      await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
      await app.says(/button_down/);
      await page.evaluate(watchColour);
      const samples: number[] = [];
      for (let i = 0; i < presses; i++) {
        await page.waitForTimeout(100 + Math.random() * 100); // spread over the browser's frame phase
        // Armed and answered first: a key may overtake an evaluate that is still under way.
        await page.evaluate(() => {
          window.handrailShown = window.handrailNextColour();
        });
        await page.keyboard.press("a");
        samples.push(await page.evaluate(() => window.handrailShown));
      }
      return [summarise("key_to_pixel_ms", samples.slice(20))];
    } finally {
      await app.stop();
      await live.close();
    }
  },
};

declare global {
  interface Window {
    /** Resolves to the milliseconds from the next keydown event to the first frame in which the middle of the picture differs. */
    handrailNextColour(): Promise<number>;
    handrailShown: Promise<number>;
  }
}

/** Runs in the page: looks at the middle pixel of every frame the browser presents. */
export function watchColour(): void {
  const video = document.querySelector("video");
  if (!video) throw new Error("no video");
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const g = canvas.getContext("2d", { willReadFrequently: true });
  if (!g) throw new Error("no canvas");
  let pressed = 0;
  window.addEventListener("keydown", (e) => (pressed = pressed || e.timeStamp), { capture: true });
  const read = (): readonly number[] => {
    g.drawImage(video, video.videoWidth / 2, video.videoHeight / 2, 1, 1, 0, 0, 1, 1);
    return [...g.getImageData(0, 0, 1, 1).data];
  };
  window.handrailNextColour = () =>
    new Promise((done, fail) => {
      const before = read();
      pressed = 0;
      const limit = setTimeout(() => fail(new Error("the key changed no pixel within 5 s")), 5000);
      const look = () => {
        const now = read();
        const moved = before.reduce((sum, b, i) => sum + Math.abs(b - (now[i] ?? 0)), 0);
        if (pressed && moved > 60) {
          clearTimeout(limit);
          done(performance.now() - pressed);
        } else video.requestVideoFrameCallback(look);
      };
      video.requestVideoFrameCallback(look);
    });
}
