/** What the diagnostic tools say: processes, services, logs, space, network, the machine, findings. */
import { decoderOf, type Message } from "./envelope.ts";
import { type Fields, integer, list, number, string, strings, WireError } from "./fields.ts";
import type {
  Bodies,
  NetTone,
  ProcessFigures,
  ProcessKind,
  ProcessRow,
  ProcessVerb,
  ServiceManager,
  ServiceRow,
  ServiceVerb,
  Severity,
} from "./wire.gen.ts";

/** Most rows of one message: what fits into one, and some. */
const most = 4096;
const big = Number.MAX_SAFE_INTEGER;

/** A count, a size or a time, which may be lacking: then it is 0. */
function amount(b: Fields, name: string): number {
  return b[name] === undefined ? 0 : integer(b, name, -big, big);
}

function pid(b: Fields, name: string): number {
  return integer(b, name, 0, 2 ** 31);
}

/** One of the words this page knows, or what it takes an unknown one for. */
function choice<T extends string>(b: Fields, name: string, known: readonly T[], otherwise: T): T {
  return known.find((k) => k === b[name]) ?? otherwise;
}

function inside(b: Fields, name: string): Fields {
  const [only] = list({ v: [b[name]] }, "v", 1);
  if (only === undefined) throw new WireError(`${name} is missing`);
  return only;
}

const kinds: readonly ProcessKind[] = ["own", "system", "agent", "kernel"];
const verbs: readonly ProcessVerb[] = ["end", "kill", "stop", "continue", "nice"];

function figures(b: Fields): ProcessFigures {
  const now = inside(b, "now");
  return {
    state: string(now, "state", 4),
    cpu: amount(now, "cpu"),
    memory: amount(now, "memory"),
    nice: amount(now, "nice"),
    threads: amount(now, "threads"),
  };
}

function processRow(b: Fields): ProcessRow {
  return {
    pid: pid(b, "pid"),
    birth: amount(b, "birth"),
    parent: pid(b, "parent"),
    name: string(b, "name", 128),
    command: string(b, "command", 512),
    user: string(b, "user", 128),
    kind: choice(b, "kind", kinds, "system"),
    start_ms: amount(b, "start_ms"),
    now: figures(b),
  };
}

/** Reads a message of the tool "process"; see decoderOf. */
export const decodeProcess = decoderOf<ProcessMessage["type"]>({
  "process.rows": (b) => ({
    first: b.first === true,
    last: b.last === true,
    total: amount(b, "total"),
    cores: amount(b, "cores"),
    rows: list(b, "rows", most).map(processRow),
  }),
  "process.change": (b) => ({
    last: b.last === true,
    total: amount(b, "total"),
    new: list(b, "new", most).map(processRow),
    moved: list(b, "moved", most).map((m) => ({
      pid: pid(m, "pid"),
      birth: amount(m, "birth"),
      now: figures(m),
    })),
    gone: pids(b, "gone"),
  }),
  "process.details": (b) => ({
    pid: pid(b, "pid"),
    birth: amount(b, "birth"),
    gone: b.gone === true,
    command: strings(b, "command", 1024, 4096),
    exe: string(b, "exe", 4096),
    dir: string(b, "dir", 4096),
    control: string(b, "control", 4096),
    read: amount(b, "read"),
    written: amount(b, "written"),
    env: strings(b, "env", 1024, 256),
    files: list(b, "files", most).map((f) => ({ fd: amount(f, "fd"), name: string(f, "name", 4096) })),
    file_count: amount(b, "file_count"),
    sockets: list(b, "sockets", most).map((s) => ({
      proto: string(s, "proto", 16),
      local: string(s, "local", 256),
      remote: string(s, "remote", 256),
      state: string(s, "state", 32),
    })),
    message: string(b, "message", 4096),
  }),
  "process.done": (b) => ({
    pid: pid(b, "pid"),
    birth: amount(b, "birth"),
    what: choice(b, "what", verbs, "end"),
    ok: b.ok === true,
    gone: b.gone === true,
    message: string(b, "message", 4096),
  }),
});

/** What comes over the channel of "process". */
export type ProcessMessage = Message<"process.rows" | "process.change" | "process.details" | "process.done">;

function pids(b: Fields, name: string): readonly number[] {
  const v = b[name] ?? [];
  if (
    !Array.isArray(v) ||
    v.length > 16384 ||
    !v.every((n) => Number.isInteger(n) && n >= 0 && n <= 2 ** 31)
  ) {
    throw new WireError(`${name} is not a list of process numbers`);
  }
  return v;
}

const managers: readonly ServiceManager[] = ["systemd", "sysv", "none"];
const serviceVerbs: readonly ServiceVerb[] = ["start", "stop", "restart", "reload", "enable", "disable"];

function serviceRow(b: Fields): ServiceRow {
  return {
    name: string(b, "name", 256),
    description: string(b, "description", 512),
    state: string(b, "state", 64),
    sub: string(b, "sub", 64),
    enabled: string(b, "enabled", 64),
  };
}

/** Reads a message of the tool "service"; see decoderOf. */
export const decodeService = decoderOf<ServiceMessage["type"]>({
  "service.rows": (b) => ({
    first: b.first === true,
    last: b.last === true,
    manager: choice(b, "manager", managers, "none"),
    message: string(b, "message", 4096),
    rows: list(b, "rows", most).map(serviceRow),
    gone: strings(b, "gone", most, 256),
  }),
  "service.details": (b) => ({
    row: serviceRow(inside(b, "row")),
    pid: pid(b, "pid"),
    memory: amount(b, "memory"),
    tasks: amount(b, "tasks"),
    result: string(b, "result", 64),
    exit: amount(b, "exit"),
    starts: amount(b, "starts"),
    since_ms: amount(b, "since_ms"),
    file: string(b, "file", 4096),
    needs: strings(b, "needs", 256, 256),
    log: strings(b, "log", 256, 4096),
    message: string(b, "message", 4096),
  }),
  "service.done": (b) => ({
    name: string(b, "name", 256),
    what: choice(b, "what", serviceVerbs, "start"),
    ok: b.ok === true,
    before: string(b, "before", 64),
    after: string(b, "after", 64),
    message: string(b, "message", 4096),
    log: strings(b, "log", 256, 4096),
  }),
});

/** What comes over the channel of "service". */
export type ServiceMessage = Message<"service.rows" | "service.details" | "service.done">;

/** Reads a message of the tool "journal"; see decoderOf. */
export const decodeJournal = decoderOf<JournalMessage["type"]>({
  "journal.source": (b) => ({
    query: amount(b, "query"),
    kind: string(b, "kind", 16),
    files: strings(b, "files", 256, 256),
    boots: list(b, "boots", 256).map((x) => ({
      id: string(x, "id", 32),
      first_ms: amount(x, "first_ms"),
      last_ms: amount(x, "last_ms"),
    })),
    units: strings(b, "units", most, 256),
    message: string(b, "message", 4096),
  }),
  "journal.lines": (b) => ({
    query: amount(b, "query"),
    seq: amount(b, "seq"),
    back: b.back === true,
    begin: b.begin === true,
    dropped: amount(b, "dropped"),
    last: b.last === true,
    lines: list(b, "lines", most).map((l) => ({
      time_ms: amount(l, "time_ms"),
      priority: integer(l, "priority", 0, 7),
      unit: string(l, "unit", 256),
      pid: pid(l, "pid"),
      text: string(l, "text", 16384),
      cut: amount(l, "cut"),
    })),
  }),
});

/** What comes over the channel of "journal". */
export type JournalMessage = Message<"journal.source" | "journal.lines">;

/** Reads a message of the tool "space"; see decoderOf. */
export const decodeSpace = decoderOf<SpaceMessage["type"]>({
  "space.volumes": (b) => ({
    volumes: list(b, "volumes", 1024).map((v) => ({
      mount: string(v, "mount", 4096),
      device: string(v, "device", 4096),
      kind: string(v, "kind", 64),
      bytes: amount(v, "bytes"),
      used: amount(v, "used"),
      files: amount(v, "files"),
      files_used: amount(v, "files_used"),
      read_only: v.read_only === true,
      remote: v.remote === true,
      memory: v.memory === true,
      stuck: v.stuck === true,
    })),
    message: string(b, "message", 4096),
  }),
  "space.tree": (b) => {
    const nodes = list(b, "nodes", most).map((n) => ({
      parent: amount(n, "parent"),
      name: string(n, "name", 4096),
      bytes: amount(n, "bytes"),
      files: amount(n, "files"),
      dir: n.dir === true,
    }));
    // A parent that came later would let a device make a circle.
    if (nodes.some((n, i) => n.parent >= i || n.parent < -1)) throw new WireError("nodes are no tree");
    return {
      path: string(b, "path", 4096),
      done: b.done === true,
      whole: b.whole === true,
      entries: amount(b, "entries"),
      unreadable: amount(b, "unreadable"),
      message: string(b, "message", 4096),
      nodes,
    };
  },
});

/** What comes over the channel of "space". */
export type SpaceMessage = Message<"space.volumes" | "space.tree">;

const tones: readonly NetTone[] = ["plain", "good", "bad"];

/** Reads a message of the tool "netcheck"; see decoderOf. */
export const decodeNet = decoderOf<NetMessage["type"]>({
  "net.state": netState,
  "net.sockets": (b) => ({
    first: b.first === true,
    last: b.last === true,
    total: amount(b, "total"),
    sockets: list(b, "sockets", most).map((s) => ({
      proto: string(s, "proto", 16),
      local: string(s, "local", 256),
      remote: string(s, "remote", 256),
      state: string(s, "state", 32),
      user: string(s, "user", 128),
      pid: pid(s, "pid"),
      process: string(s, "process", 128),
    })),
  }),
  "net.line": (b) => ({
    text: string(b, "text", 4096),
    tone: choice(b, "tone", tones, "plain"),
    ms: number(b, "ms"),
  }),
  "net.done": (b) => ({ ok: b.ok === true, message: string(b, "message", 4096) }),
});

/** What comes over the channel of "netcheck". */
export type NetMessage = Message<"net.state" | "net.sockets" | "net.line" | "net.done">;

function netState(b: Fields): Bodies["net.state"] {
  return {
    interfaces: list(b, "interfaces", 1024).map((i) => ({
      name: string(i, "name", 64),
      hardware: string(i, "hardware", 64),
      addresses: strings(i, "addresses", 256, 128),
      up: i.up === true,
      link: i.link === true,
      speed: amount(i, "speed"),
      mtu: amount(i, "mtu"),
      in: amount(i, "in"),
      out: amount(i, "out"),
      errors: amount(i, "errors"),
      dropped: amount(i, "dropped"),
    })),
    routes: list(b, "routes", most).map((r) => ({
      to: string(r, "to", 128),
      via: string(r, "via", 128),
      device: string(r, "device", 64),
      metric: amount(r, "metric"),
    })),
    dns: strings(b, "dns", 64, 128),
    search: strings(b, "search", 64, 256),
    gateway: string(b, "gateway", 128),
    service: string(b, "service", 1024),
    message: string(b, "message", 4096),
  };
}

/** Reads a message of the tool "machine"; see decoderOf. */
export const decodeMachine = decoderOf<MachineMessage["type"]>({
  "machine.table": (b) => ({
    topic: choice(b, "topic", ["users", "faults", "crashes", "boot", "updates"], "faults"),
    summary: string(b, "summary", 4096),
    columns: strings(b, "columns", 16, 128),
    rows: list(b, "rows", most).map((r) => ({
      time_ms: amount(r, "time_ms"),
      bad: r.bad === true,
      cells: strings(r, "cells", 16, 4096),
    })),
    message: string(b, "message", 4096),
  }),
});

/** What comes over the channel of "machine". */
export type MachineMessage = Message<"machine.table">;

const severities: readonly Severity[] = ["bad", "warn", "note"];

/** Reads a message of the tool "findings"; see decoderOf. */
export const decodeFindings = decoderOf<FindingsMessage["type"]>({
  findings: (b) => ({
    done: b.done === true,
    summary: string(b, "summary", 4096),
    findings: list(b, "findings", 256).map((f) => ({
      id: string(f, "id", 512),
      severity: choice(f, "severity", severities, "warn"),
      title: string(f, "title", 512),
      evidence: strings(f, "evidence", 64, 4096),
      advice: string(f, "advice", 4096),
      tool: string(f, "tool", 32),
      target: string(f, "target", 4096),
    })),
    looked: strings(b, "looked", 64, 256),
    missed: strings(b, "missed", 64, 1024),
    took_ms: amount(b, "took_ms"),
  }),
});

/** What comes over the channel of "findings". */
export type FindingsMessage = Message<"findings">;
