import { expect, test } from "vitest";
import { JournalLog, keptFollowing } from "./journallog.ts";
import type { JournalLines } from "./wire.gen.ts";

const batch = (query: number, texts: readonly string[], more: Partial<JournalLines> = {}): JournalLines => ({
  query,
  seq: 1,
  back: false,
  begin: false,
  dropped: 0,
  last: false,
  lines: texts.map((text) => ({ time_ms: 1, priority: 6, unit: "a", pid: 1, text, cut: 0 })),
  ...more,
});

const texts = (l: JournalLog) => l.entries.map((e) => (e.missing > 0 ? `(${e.missing})` : e.line.text));

test("lines come after and before, and what is missing is counted in its place", () => {
  const l = new JournalLog();
  const q = l.begin();
  l.take(batch(q, ["c", "d"]), true);
  l.take(batch(q, ["e"], { dropped: 7 }), true);
  l.take(batch(q, ["a", "b"], { back: true, begin: true }), false);
  expect(texts(l)).toEqual(["a", "b", "c", "d", "(7)", "e"]);
  expect(l.entries.map((e) => e.serial)).toEqual([-2, -1, 0, 1, 2, 3]);
  expect([l.dropped, l.first, l.atBegin]).toEqual([7, -2, true]);
});

test("an answer to an older question changes nothing", () => {
  const l = new JournalLog();
  const old = l.begin();
  const q = l.begin();
  expect(l.take(batch(old, ["old"]), true)).toBe(false);
  l.take(batch(q, ["new"]), true);
  expect(texts(l)).toEqual(["new"]);
});

test("what is held is bounded; who reads older lines keeps them for longer", () => {
  const l = new JournalLog();
  const q = l.begin();
  const many = Array.from({ length: 1000 }, (_, i) => String(i));
  for (let i = 0; i < 25; i++) l.take(batch(q, many), false);
  expect(l.entries.length).toBe(25_000);
  l.take(batch(q, ["last"]), true);
  expect(l.entries.length).toBe(keptFollowing);
  expect(l.entries.at(-1)?.line.text).toBe("last");
  expect(l.first).toBe(25_001 - keptFollowing);
});
