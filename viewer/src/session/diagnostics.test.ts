import { expect, test } from "vitest";
import {
  decodeFindings,
  decodeJournal,
  decodeNet,
  decodeProcess,
  decodeService,
  decodeSpace,
} from "./diagnostics.ts";
import { WireError } from "./fields.ts";

const say = (type: string, body: unknown, re?: string) => JSON.stringify({ v: 1, type, body, re });

const now = { state: "R", cpu: 1, memory: 2, nice: 0, threads: 1 };
const row = {
  pid: 7,
  birth: 1,
  parent: 1,
  name: "sh",
  command: "",
  user: "ana",
  kind: "own",
  start_ms: 1,
  now,
};

test("an answer names what it answers", () => {
  expect(decodeProcess(say("process.done", { pid: 7, birth: 1, what: "end", ok: true }, "12"))?.re).toBe(
    "12",
  );
  expect(decodeProcess(say("space.tree", { nodes: [] }))).toBeNull();
});

test("a process of an unknown kind is taken for one that takes an administrator", () => {
  const m = decodeProcess(
    say("process.rows", { first: true, total: 1, cores: 2, rows: [{ ...row, kind: "mine" }] }),
  );
  expect(m?.type === "process.rows" && m.body.rows?.[0]?.kind).toBe("system");
});

test("a hostile device's processes are refused whole, or cut", () => {
  for (const bad of [
    { pid: -1 },
    { pid: "7" },
    { pid: 1.5 },
    { now: 3 },
    { now: undefined },
    { birth: 1e300 },
  ]) {
    expect(
      () => decodeProcess(say("process.rows", { rows: [{ ...row, ...bad }] })),
      JSON.stringify(bad),
    ).toThrow(WireError);
  }
  expect(() => decodeProcess(say("process.change", { gone: [1, "2"] }))).toThrow(WireError);
  const m = decodeProcess(say("process.rows", { rows: [{ ...row, command: "x".repeat(9000) }] }));
  expect(m?.type === "process.rows" && m.body.rows?.[0]?.command.length).toBe(512);
});

test("a tree of space goes one way only, so that nobody walks in a circle", () => {
  const node = (parent: number) => ({ parent, name: "a", bytes: 1, files: 1, dir: true });
  expect(decodeSpace(say("space.tree", { nodes: [node(-1), node(0), node(0)] }))).not.toBeNull();
  for (const bad of [[node(0)], [node(-1), node(1)], [node(-1), node(2), node(1)], [node(-2)]]) {
    expect(() => decodeSpace(say("space.tree", { nodes: bad })), JSON.stringify(bad)).toThrow(WireError);
  }
});

test("lines have a priority that there is, and a length that can be shown", () => {
  const line = { time_ms: 1, priority: 3, unit: "a", pid: 0, text: "b", cut: 0 };
  expect(() => decodeJournal(say("journal.lines", { lines: [{ ...line, priority: 9 }] }))).toThrow(WireError);
  const m = decodeJournal(say("journal.lines", { seq: 1, lines: [{ ...line, text: "x".repeat(40_000) }] }));
  expect(m?.type === "journal.lines" && m.body.lines?.[0]?.text.length).toBe(16_384);
});

test("words this page does not know become ones that promise nothing", () => {
  const rows = decodeService(say("service.rows", { manager: "<script>", rows: null, gone: null }));
  expect(rows?.type === "service.rows" && rows.body).toEqual({
    first: false,
    last: false,
    manager: "none",
    message: "",
    rows: [],
    gone: [],
  });
  const line = decodeNet(say("net.line", { text: "x", tone: "great", ms: -1 }));
  expect(line?.type === "net.line" && line.body.tone).toBe("plain");
  const found = decodeFindings(say("findings", { findings: [{ severity: "fatal", title: "x" }] }));
  expect(found?.body.findings?.[0]?.severity).toBe("warn");
});
