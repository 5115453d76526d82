import { expect, test } from "vitest";
import { maxBlock, maxWindow } from "./files.ts";
import { SendWindow } from "./window.ts";

/** Sends and acknowledges blocks on a line that takes so long for each, until it has settled. */
function settled(tookMs: (blocksUnderway: number) => number): SendWindow {
  const w = new SendWindow();
  let end = 0;
  let now = 0;
  for (let n = 0; n < 2000; n++) {
    const room = w.room;
    for (let i = 0; i < room; i++) {
      end += maxBlock;
      w.sent(end, now);
    }
    now += tookMs(room);
    w.kept(end, now);
  }
  return w;
}

test("a quick line is filled", () => {
  expect(settled(() => 5).room).toBe(maxWindow);
});

test("what would only stand in a queue is not sent", () => {
  // A line on which each block beyond the sixteenth waits for six milliseconds more.
  const w = settled((blocks) => 20 + 6 * Math.max(0, blocks - 16));
  expect(w.room).toBeGreaterThanOrEqual(16);
  expect(w.room).toBeLessThan(28);
});

test("nothing is sent that there is no room for", () => {
  const w = new SendWindow();
  const first = w.room;
  for (let n = 1; n <= first; n++) w.sent(n * maxBlock, 0);
  expect(w.room).toBe(0);
  w.kept(4 * maxBlock, 1);
  expect(w.room).toBeGreaterThanOrEqual(4);
});
