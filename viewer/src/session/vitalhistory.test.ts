import { expect, test } from "vitest";
import { keptFigures, VitalHistory } from "./vitalhistory.ts";
import type { Vitals, VitalsParts } from "./wire.gen.ts";

const parts: VitalsParts = {
  cores: 2,
  memory_bytes: 1000,
  swap_bytes: 0,
  disks: ["sda"],
  volumes: [{ mount: "/", bytes: 200 }],
  networks: [],
  sensors: [],
  pressure: false,
  battery: false,
};

const at = (second: number, busy: number): Vitals => ({
  time_ms: second * 1000,
  cores: [busy, 0],
  load: [1, 2, 3],
  memory: 500,
  swap: 0,
  disks: [{ read: second, write: 0, busy: 0, wait: 0 }],
  volumes: [100],
  networks: [],
  sensors: [],
});

test("figures are lines by name over seconds", () => {
  const h = new VitalHistory();
  h.put(at(1, 0)); // nobody knows yet what of
  h.take(parts);
  for (let s = 1; s <= 4; s++) h.put(at(s, s * 100));
  expect(h.span).toEqual([1000, 4000]);
  expect(h.between(2000, 3000, ["cpu", "core 0", "fill /", "nothing"], 100)).toEqual([
    [2, 3],
    [10, 15],
    [20, 30],
    [50, 50],
    [null, null],
  ]);
  expect(h.at(2500)).toMatchObject({ timeMs: 2000 });
  expect(h.at(2500)?.figures.get("load 15")).toBe(3);
  expect(h.at(500)).toBeNull();
});

test("an hour is kept, and many points are drawn as their largest", () => {
  const h = new VitalHistory();
  h.take(parts);
  for (let s = 1; s <= keptFigures + 50; s++) h.put(at(s, s === 3000 ? 1000 : 100));
  expect(h.count).toBe(keptFigures);
  expect(h.span).toEqual([51_000, (keptFigures + 50) * 1000]);
  const [times, busiest] = h.between(0, 1e9, ["core 0"], 36);
  expect(times?.length).toBe(36);
  expect(busiest?.filter((v) => v === 100)).toHaveLength(1);
});

test("a lost connection leaves a gap; a clock set back begins anew", () => {
  const h = new VitalHistory();
  h.take(parts);
  h.put(at(10, 100));
  h.put(at(100, 100));
  expect(h.between(0, 1e9, ["cpu"], 100)[1]).toEqual([5, null, 5]);
  h.put(at(50, 100));
  expect(h.span).toEqual([50_000, 50_000]);
});

test("a part that goes leaves its line, one that comes has one from then on", () => {
  const h = new VitalHistory();
  h.take(parts);
  h.put(at(1, 0));
  h.take({ ...parts, disks: ["sdb"] });
  h.put(at(2, 0));
  expect(h.between(0, 1e9, ["read sda", "read sdb"], 10).slice(1)).toEqual([
    [1, null],
    [null, 2],
  ]);
});
