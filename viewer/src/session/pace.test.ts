import { expect, test } from "vitest";
import { gentleRate, Pace } from "./pace.ts";

test("what moves in a second is what the rate says, and never much at once", () => {
  const p = new Pace(0);
  let moved = 0;
  for (let ms = 20; ms <= 1000; ms += 20) {
    const now = Math.max(0, p.allowed(gentleRate, ms));
    expect(now).toBeLessThanOrEqual(gentleRate / 20);
    p.spend(now);
    moved += now;
  }
  expect(moved).toBeCloseTo(gentleRate, -3);
});

test("a debt is paid before more moves", () => {
  const p = new Pace(0);
  p.spend(1000);
  expect(p.allowed(1000, 500)).toBeLessThan(0);
  expect(p.allowed(1000, 1020)).toBeGreaterThan(0);
});
