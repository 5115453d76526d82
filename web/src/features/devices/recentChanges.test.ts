import { describe, expect, it } from "vitest";
import type { Chapter } from "../../api/types.ts";
import { recentChanges } from "./recentChanges.ts";

const chapter = (
  section: string,
  at: string,
  changes: Chapter["changes"],
  more?: Partial<Chapter>,
): Chapter => ({
  at,
  section,
  first: false,
  changes,
  ...more,
});

describe("what changed lately", () => {
  it("has what may explain a fault first, and no day's work", () => {
    const installed = ["a", "b", "c", "d"].map((n) => ({ path: [`${n} deb amd64`], to: { version: "1" } }));
    const list = recentChanges(
      [
        chapter("users", "2026-11-23T12:00:00Z", [{ path: ["ada"], to: {} }]),
        chapter("sudo", "2026-11-23T11:00:00Z", [{ path: ["use_pty"], from: true, to: false }]),
        chapter("software", "2026-11-23T10:00:00Z", installed, { more: 8 }),
        chapter("host", "2026-11-22T10:00:00Z", [
          { path: ["boot_time_us"], from: 1, to: 2 },
          { path: ["kernel"], from: "6.1.0-36", to: "6.1.0-37" },
        ]),
        chapter("disks", "2026-11-21T10:00:00Z", [{ path: ["sda", "health"], from: "good", to: "failing" }]),
        chapter("hardware", "2026-11-21T09:00:00Z", [], { first: true }),
        chapter("software", "2026-11-01T10:00:00Z", installed),
      ],
      Date.parse("2026-11-17T00:00:00Z"),
    );
    expect(list.map((c) => `${c.title}: ${c.words}`)).toEqual([
      "Restarted: ",
      "System: kernel 6.1.0-36 → 6.1.0-37",
      "Disks: sda › health good → failing",
      "Software: a 1 is new; b 1 is new; c 1 is new; 9 more",
      "Sudo: use pty on → off",
    ]);
  });
});
