/** The tools of the device inside the page: figures that move, so that panes have something to show. */
import type { Bodies, ProcessRow } from "../src/session/wire.gen.ts";
import type { FakeAgent, ToolSay } from "./agent.ts";

/** Gives the device every tool the tests need, and the rights to them. */
export function addTools(agent: FakeAgent, alone: boolean): void {
  const may: Bodies["status"]["may"] = alone ? ["diagnostics"] : [...agent.status.may, "diagnostics"];
  agent.status = { ...agent.status, granted: may, may };
  agent.serves.vitals = (say, type) => {
    if (type === "vitals.watch") vitals(agent, say);
  };
  agent.serves.process = processes;
  agent.serves.journal = journal;
  agent.serves.findings = (say) =>
    say("findings", {
      done: true,
      summary: "One thing does not work.",
      findings: [
        {
          id: "runaway:1500",
          severity: "bad",
          title: "worker keeps a processor busy",
          evidence: ["100 % of one processor for ten minutes"],
          advice: "End it, and tell its owner.",
          tool: "process",
          target: "1500",
        },
      ],
      looked: ["processes"],
      missed: [],
      took_ms: 12,
    });
}

/** The figures of the past minute at once, then one each 200 ms: a test does not wait for seconds. */
function vitals(agent: FakeAgent, say: ToolSay): void {
  say("vitals.parts", {
    cores: 4,
    memory_bytes: 8 * 2 ** 30,
    swap_bytes: 2 ** 30,
    disks: ["nvme0n1", "sda"],
    volumes: [
      { mount: "/", bytes: 100 * 2 ** 30 },
      { mount: "/var", bytes: 40 * 2 ** 30 },
    ],
    networks: ["eth0", "wlan0"],
    sensors: ["CPU package"],
    pressure: true,
    battery: true,
  });
  let tick = 0;
  const start = Date.now() - 60_000;
  const figure = (): Bodies["vitals"] => {
    const wave = Math.sin(tick / 6) * 0.4 + 0.5;
    return {
      time_ms: start + tick * 1000,
      cores: [0, 1, 2, 3].map((c) => Math.round(1000 * wave * (c === 0 ? 1 : 0.3))),
      load: [wave * 4, 1.5, 1.2],
      memory: (3 + wave) * 2 ** 30,
      swap: 2 ** 28,
      pressure: { cpu: 120, memory: 3, io: 40 },
      disks: [
        { read: 4e6 * wave, write: 1e6, busy: 300, wait: 2.4 },
        { read: 0, write: 0, busy: 0, wait: 0 },
      ],
      volumes: [50 * 2 ** 30, 39 * 2 ** 30],
      networks: [
        { in: 2e6 * wave, out: 3e5 },
        { in: 0, out: 0 },
      ],
      sensors: [48 + 10 * wave],
      battery: { charge: 640, charging: false },
    };
  };
  for (; tick < 60; tick++) say("vitals", figure());
  setInterval(() => {
    say("vitals", figure());
    agent.figures = ++tick;
  }, 200);
}

/** Two thousand processes; ending one ends it. */
function processes(say: ToolSay, type: string, body: never, id: string): void {
  const row = (pid: number): ProcessRow => ({
    pid,
    birth: pid * 7,
    parent: pid === 1 ? 0 : pid % 50 === 0 ? 1 : pid - (pid % 50) || 1,
    name: pid === 1500 ? "worker" : `program-${pid}`,
    command: `/usr/bin/program --number ${pid}`,
    user: pid % 3 === 0 ? "root" : "ada",
    kind: pid % 3 === 0 && pid !== 1500 ? "system" : "own",
    start_ms: Date.UTC(2026, 10, 24),
    now: {
      state: pid === 1500 ? "R" : "S",
      cpu: pid === 1500 ? 1000 : pid % 7,
      memory: pid * 4096,
      nice: 0,
      threads: 1,
    },
  });
  if (type === "process.watch") {
    const all = Array.from({ length: 2000 }, (_, i) => row(i + 1));
    for (let i = 0; i < all.length; i += 200) {
      const rows = all.slice(i, i + 200);
      say("process.rows", { first: i === 0, last: i + 200 >= all.length, total: 2000, cores: 4, rows });
    }
  } else if (type === "process.look") {
    const { pid, birth } = body as Bodies["process.look"];
    const sockets = [{ proto: "tcp", local: "127.0.0.1:8080", remote: "", state: "LISTEN" }];
    const details = {
      gone: false,
      command: ["worker"],
      exe: "/usr/bin/worker",
      dir: "/",
      control: "",
      read: 1,
      written: 2,
    };
    const files = [{ fd: 3, name: "/var/lib/worker.db" }];
    say(
      "process.details",
      { pid, birth, ...details, env: [], files, file_count: 1, sockets, message: "" },
      id,
    );
  } else if (type === "process.act") {
    const { pid, birth, what } = body as Bodies["process.act"];
    say("process.change", { last: true, total: 1999, new: [], moved: [], gone: [pid] });
    say("process.done", { pid, birth, what, ok: true, gone: true, message: "worker (1500) has ended." }, id);
  }
}

/** A log that is followed: ten lines, and then some that came too fast. */
function journal(say: ToolSay, type: string, body: never): void {
  if (type !== "journal.open") return;
  const { query } = body as Bodies["journal.open"];
  const line = (n: number) => ({
    time_ms: 1e12 + n,
    priority: n === 3 ? 3 : 6,
    unit: "worker",
    pid: 7,
    text: `line ${n}`,
    cut: 0,
  });
  const lines = Array.from({ length: 10 }, (_, i) => line(i));
  const whole = { query, back: false, begin: false, last: true };
  say("journal.source", {
    query,
    kind: "files",
    files: ["syslog"],
    boots: [],
    units: ["worker"],
    message: "",
  });
  say("journal.lines", { ...whole, seq: 1, dropped: 0, lines });
  say("journal.lines", { ...whole, seq: 2, dropped: 312, last: false, lines: [line(400)] });
}
