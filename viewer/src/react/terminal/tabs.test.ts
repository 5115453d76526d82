import { describe, expect, test } from "vitest";
import type { TerminalBrief } from "../../session/wire.gen.ts";
import { changed, labelOf, noTabs, type Tabs, type TabsChange } from "./tabs.ts";

const brief = (id: string, user = "ana"): TerminalBrief => ({
  id,
  user,
  root: user === "root",
  opener: "Ada",
  started_ms: 1,
  viewers: 1,
  recorded: false,
});
const after = (...list: TabsChange[]): Tabs => list.reduce(changed, noTabs);
const labels = (s: Tabs) => s.tabs.map((t) => labelOf(s, t, "ana"));

describe("tabs of terminals", () => {
  test("those that run are found again, once", () => {
    const s = after(
      { kind: "listed", terminals: [brief("a"), brief("b", "root")] },
      { kind: "listed", terminals: [brief("a"), brief("b", "root")] },
    );
    expect(s.tabs.map((t) => t.id)).toEqual(["a", "b"]);
    expect(s.active).toBe(s.tabs[0]?.key);
    expect(labels(s)).toEqual(["ana", "root"]);
  });

  test("one that is being opened is not listed as another's", () => {
    let s = after({ kind: "open", root: false }, { kind: "listed", terminals: [brief("a")] });
    expect(s.tabs).toHaveLength(1);
    s = changed(s, { kind: "opened", key: 1, brief: brief("a") });
    s = changed(s, { kind: "listed", terminals: [brief("a"), brief("b")] });
    expect(s.tabs).toHaveLength(2);
    expect(labels(s)).toEqual(["ana 1", "ana 2"]);
    expect(s.active).toBe(1);
  });

  test("closing looks at the one beside it; a bell is remembered until it is looked at", () => {
    let s = after({ kind: "open", root: false }, { kind: "open", root: true }, { kind: "open", root: false });
    expect(s.active).toBe(3);
    s = changed(changed(s, { kind: "rang", key: 2 }), { kind: "rang", key: 3 });
    expect(s.tabs.map((t) => t.rang)).toEqual([false, true, false]);
    s = changed(s, { kind: "close", key: 3 });
    expect(s.active).toBe(2);
    s = changed(s, { kind: "look", key: 2 });
    expect(s.tabs[1]?.rang).toBe(false);
    s = changed(s, { kind: "anew", key: 2 });
    expect(s.tabs.map((t) => [t.key, t.root])).toEqual([
      [1, false],
      [4, true],
    ]);
    s = changed(changed(s, { kind: "close", key: 4 }), { kind: "close", key: 1 });
    expect(s.active).toBeNull();
  });
});
