import { expect, test } from "vitest";
import { squarify } from "./treemap.ts";

const whole = { x: 0, y: 0, width: 1, height: 1 };

test("areas are the amounts, nothing overlaps the edge, and places are near to squares", () => {
  const amounts = [6, 6, 4, 3, 2, 2, 1];
  const places = squarify(amounts, { ...whole, width: 1.5 });
  for (const [i, p] of places.entries()) {
    expect(p.width * p.height).toBeCloseTo(((amounts[i] ?? 0) / 24) * 1.5, 9);
    expect(p.x + p.width).toBeLessThanOrEqual(1.5 + 1e-9);
    expect(p.y + p.height).toBeLessThanOrEqual(1 + 1e-9);
    expect(Math.max(p.width / p.height, p.height / p.width)).toBeLessThan(3);
  }
});

test("nothing, and nothing but zeros, has no place", () => {
  expect(squarify([], whole)).toEqual([]);
  expect(squarify([0, 0], whole).map((p) => p.width * p.height)).toEqual([0, 0]);
  expect(squarify([5, 0], whole).every((p) => Number.isFinite(p.x + p.width))).toBe(true);
});
