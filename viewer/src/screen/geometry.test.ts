import { describe, expect, test } from "vitest";
import {
  cssPx,
  edgePan,
  type Framing,
  fromWire,
  layOut,
  panBy,
  screenPx,
  toWire,
  wholePicture,
  zoomAt,
} from "./geometry.ts";

const view = (width: number, height: number) => ({ width: cssPx(width), height: cssPx(height) });
const picture = (width: number, height: number) => ({ width: screenPx(width), height: screenPx(height) });
const at = (x: number, y: number) => ({ x: cssPx(x), y: cssPx(y) });
const actual: Framing = { ...wholePicture, scaling: "actual" };

describe("fit", () => {
  test("letterboxes above and below, or left and right", () => {
    expect(layOut(view(960, 800), picture(1920, 1080), wholePicture, 1)).toMatchObject({
      left: 0,
      top: 130,
      width: 960,
      height: 540,
      scale: 0.5,
      overflows: false,
    });
    expect(layOut(view(1000, 540), picture(1920, 1080), wholePicture, 2)).toMatchObject({ left: 20, top: 0 });
  });

  test("the corners are the first and the last pixel", () => {
    const v = view(960, 800);
    const p = picture(1920, 1080);
    const l = layOut(v, p, wholePicture, 1);
    expect(toWire(l, p, at(0, 130), false)).toEqual({ x: 0, y: 0 });
    expect(toWire(l, p, at(959.9, 669.9), false)).toEqual({ x: 65535, y: 65535 });
  });

  test("the letterbox is no place, unless a drag goes there", () => {
    const v = view(960, 800);
    const p = picture(1920, 1080);
    const l = layOut(v, p, wholePicture, 1);
    expect(toWire(l, p, at(10, 129), false)).toBeNull();
    expect(toWire(l, p, at(960, 300), false)).toBeNull();
    expect(toWire(l, p, at(-50, 129), true)).toEqual({ x: 0, y: 0 });
    expect(toWire(l, p, at(5000, 5000), true)).toEqual({ x: 65535, y: 65535 });
  });
});

test("every pixel of odd sizes comes back as itself, as the agent computes it", () => {
  for (const [w, h] of [
    [1281, 721],
    [1366, 768],
    [3, 5],
    [1, 1],
  ] as const) {
    const v = view(777, 333);
    const p = picture(w, h);
    const l = layOut(v, p, wholePicture, 1.25);
    for (const x of [0, Math.min(1, w - 1), Math.floor(w / 2), w - 1]) {
      for (const y of [0, Math.floor(h / 3), h - 1]) {
        const wire = toWire(l, p, at(l.left + (x + 0.5) * l.scale, l.top + (y + 0.5) * l.scale), false);
        expect(wire).not.toBeNull();
        // signaling/input: 0 is the first pixel, 65535 the last.
        expect(Math.round(((wire?.x ?? 0) * (w - 1)) / 65535)).toBe(x);
        expect(Math.round(((wire?.y ?? 0) * (h - 1)) / 65535)).toBe(y);
        const back = fromWire(l, p, wire ?? { x: -1, y: -1 });
        expect(back.x).toBeCloseTo(l.left + x * l.scale, 3);
      }
    }
  }
});

describe("pixel for pixel", () => {
  test("a remote pixel is one of the panel, whatever the ratio", () => {
    expect(layOut(view(800, 600), picture(640, 480), actual, 2).scale).toBe(0.5);
    expect(layOut(view(800, 600), picture(640, 480), actual, 1)).toMatchObject({
      left: 80,
      top: 60,
      overflows: false,
    });
  });

  test("what is larger than the view shows no gaps at its edges", () => {
    const v = view(800, 600);
    const p = picture(1920, 1080);
    const corner = layOut(v, p, { ...actual, center: { x: 0, y: 0 } }, 1);
    expect(corner).toMatchObject({ left: 0, top: 0, overflows: true });
    const other = layOut(v, p, { ...actual, center: { x: 1, y: 1 } }, 1);
    expect(other).toMatchObject({ left: 800 - 1920, top: 600 - 1080 });
  });
});

test("zooming keeps what is under the fingers there, and ends at the whole picture", () => {
  const v = view(400, 800);
  const p = picture(1920, 1080);
  const before = layOut(v, p, wholePicture, 3);
  const point = at(200, 400);
  const under = toWire(before, p, point, false);
  const f = zoomAt(v, p, wholePicture, 3, point, 4);
  const after = layOut(v, p, f, 3);
  expect(f.scaling).toBe("zoom");
  expect(after.scale / before.scale).toBeCloseTo(4);
  expect(toWire(after, p, point, false)).toEqual(under);
  expect(zoomAt(v, p, f, 3, point, 0.01)).toEqual(wholePicture);
  expect(zoomAt(v, p, f, 3, point, 100).zoom).toBe(8);
});

test("panning moves a large picture and no small one", () => {
  const v = view(800, 600);
  const p = picture(1920, 1080);
  const l = layOut(v, p, actual, 1);
  const moved = layOut(v, p, panBy(l, v, actual, at(30, -20)), 1);
  expect(moved.left - l.left).toBeCloseTo(30);
  expect(moved.top - l.top).toBeCloseTo(-20);
  const fit = layOut(v, p, wholePicture, 1);
  expect(panBy(fit, v, wholePicture, at(30, 30))).toBe(wholePicture);
  expect(edgePan(v, l, at(400, 300))).toEqual({ x: 0, y: 0 });
  expect(edgePan(v, l, at(1, 300)).x).toBeGreaterThan(10);
  expect(edgePan(v, l, at(799, 300)).x).toBeLessThan(-10);
});

test("no picture and no view lead nowhere", () => {
  const l = layOut(view(0, 0), picture(0, 0), wholePicture, 1);
  expect(toWire(l, picture(0, 0), at(1, 1), true)).toBeNull();
});
