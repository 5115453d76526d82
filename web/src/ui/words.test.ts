import { describe, expect, it } from "vitest";
import { someGroup } from "../testing/gateway.ts";
import { flatten, groupTrees, pathWords, policySource } from "./groupTree.ts";
import { agoWords, countWords, durationWords, sizeWords } from "./words.ts";

describe("words", () => {
  const now = Date.UTC(2026, 10, 23, 12);
  it.each([
    [0, "just now"],
    [-59_000, "just now"],
    [-90_000, "1 minute ago"],
    [-3_600_000 * 26, "yesterday"],
    [86_399_000, "tomorrow"],
    [3_600_000 * 23, "in 23 hours"],
  ])("%d ms from now is %s", (ms, want) => {
    expect(agoWords(new Date(now + ms), now)).toBe(want);
  });

  it("names sizes, counts and spans", () => {
    expect([sizeWords(0), sizeWords(1536), sizeWords(256 * 2 ** 30), sizeWords(undefined)]).toEqual([
      "0 B",
      "1.5 KiB",
      "256 GiB",
      "unknown",
    ]);
    expect([countWords(1, "device"), countWords(1200, "entry", "entries")]).toEqual([
      "1 device",
      "1,200 entries",
    ]);
    expect([durationWords(42_000), durationWords(125_000), durationWords(3_900_000)]).toEqual([
      "42 s",
      "2 min 5 s",
      "1 h 5 min",
    ]);
  });
});

describe("group tree", () => {
  const on = { enabled: true, capabilities: ["view" as const] };
  const groups = [
    someGroup({ id: "c", name: "Reception", parent_id: "b" }),
    someGroup({ id: "b", name: "Berlin", parent_id: "a", unattended: on }),
    someGroup({ id: "a", name: "All devices" }),
    someGroup({ id: "z", name: "Elsewhere", parent_id: "out of sight" }),
  ];

  it("puts parents before children, and what hangs on nothing at the top", () => {
    expect(flatten(groupTrees(groups)).map((n) => `${n.depth} ${n.group.name}`)).toEqual([
      "0 All devices",
      "1 Berlin",
      "2 Reception",
      "0 Elsewhere",
    ]);
  });

  it("finds the policy's source upwards, and survives a circle", () => {
    expect(policySource(groups, "c")?.name).toBe("Berlin");
    expect(policySource(groups, "a")).toBeNull();
    expect(
      policySource([someGroup({ id: "x", parent_id: "y" }), someGroup({ id: "y", parent_id: "x" })], "x"),
    ).toBeNull();
    expect(pathWords(["All devices", "Berlin"])).toBe("Berlin");
  });
});
