import { describe, expect, test } from "vitest";
import type { ProcessMessage } from "./diagnostics.ts";
import { Processes, type ProcessWish } from "./processes.ts";
import type { ProcessRow } from "./wire.gen.ts";

const row = (
  pid: number,
  parent: number,
  name: string,
  cpu = 0,
  more: Partial<ProcessRow> = {},
): ProcessRow => ({
  pid,
  birth: pid * 10,
  parent,
  name,
  command: `/usr/bin/${name}`,
  user: "ada",
  kind: "own",
  start_ms: 0,
  now: { state: "S", cpu, memory: pid, nice: 0, threads: 1 },
  ...more,
});

const rows = (...all: ProcessRow[]): ProcessMessage => ({
  type: "process.rows",
  body: { first: true, last: true, total: all.length, cores: 4, rows: all },
});

const flat: ProcessWish = { tree: false, by: "cpu", down: true, text: "", own: false };
const names = (p: Processes, wish: Partial<ProcessWish> = {}) =>
  p.shown({ ...flat, ...wish }).map((s) => `${" ".repeat(s.depth)}${s.row.name}`);

function desk(): Processes {
  const p = new Processes();
  p.take(
    rows(
      row(1, 0, "init", 0, { user: "root", kind: "system" }),
      row(10, 1, "shell", 1),
      row(11, 10, "editor", 5),
      row(12, 10, "Compiler", 900),
      row(20, 1, "sshd", 0, { user: "root", kind: "system" }),
    ),
  );
  return p;
}

describe("the list of processes", () => {
  test("is sorted and filtered", () => {
    const p = desk();
    expect(names(p)).toEqual(["Compiler", "editor", "shell", "init", "sshd"]);
    expect(names(p, { by: "name", down: false })).toEqual(["Compiler", "editor", "init", "shell", "sshd"]);
    expect(names(p, { text: "11" })).toEqual(["editor"]);
    expect(names(p, { text: "BIN/COMP" })).toEqual(["Compiler"]);
    expect(names(p, { own: true, by: "pid", down: false })).toEqual(["shell", "editor", "Compiler"]);
    expect(p.whole).toBe(true);
  });

  test("is a tree in which who fits keeps its ancestors", () => {
    const p = desk();
    expect(names(p, { tree: true })).toEqual(["init", " shell", "  Compiler", "  editor", " sshd"]);
    expect(names(p, { tree: true, text: "edit" })).toEqual(["init", " shell", "  editor"]);
  });

  test("changes: what goes goes, a number that is another's now has the other's figures alone", () => {
    const p = desk();
    const now = { state: "R", cpu: 700, memory: 1, nice: 0, threads: 1 };
    p.take({
      type: "process.change",
      body: {
        last: true,
        total: 5,
        gone: [20, 12],
        new: [row(12, 1, "reborn", 3, { birth: 999 })],
        moved: [
          { pid: 12, birth: 120, now },
          { pid: 11, birth: 110, now },
        ],
      },
    });
    expect(names(p)).toEqual(["editor", "reborn", "shell", "init"]);
    expect(p.get(12)?.now.cpu).toBe(3);
  });

  test("survives a device that says processes are their own parents", () => {
    const p = new Processes();
    p.take(rows(row(1, 2, "a"), row(2, 1, "b"), row(3, 3, "c")));
    expect(names(p, { tree: true })).toEqual(["c"]);
    expect(names(p).length).toBe(3);
  });
});
