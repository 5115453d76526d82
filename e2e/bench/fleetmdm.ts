/** A fleet of simulated devices under management: what rest costs, how soon a change is everywhere, and all inventories at once. */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { bin, eventually, freePort, Program, scratch } from "../program.ts";
import { api, setUp } from "../stack.ts";
import { type Benchmark, type Result, summarise } from "./figure.ts";

const count = 10_000;
const idleSeconds = 600;

type Database = "sqlite" | "pg";

/** A gateway of its own, and an admin's way into it. */
interface Gateway {
  readonly url: string;
  readonly cookie: string;
  readonly program: Program;
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** A figure of its /metrics, summed over its labels. Reading it is not among the requests it counts. */
  figure(name: string): Promise<number>;
  token(uses: number): Promise<string>;
  stop(): Promise<void>;
}

async function startGateway(database: Database): Promise<Gateway> {
  const { dir, remove } = await scratch();
  const env = { HANDRAIL_LISTEN: `127.0.0.1:${await freePort()}`, HANDRAIL_TURN_LISTEN: "off" };
  const argv = `"${join(bin, "handrail-gateway")}" run --data "${dir}"`;
  const program =
    database === "sqlite"
      ? new Program(["sh", "-c", `exec ${argv}`], env)
      : new Program(
          [".ci/with-postgres", "sh", "-c", `exec ${argv} --database "$HANDRAIL_TEST_POSTGRES"`],
          env,
        );
  const [line] = await program.says(/^Handrail .*http:\/\/.*$/m, 60_000);
  const setup = line.split(/\s+/).find((w) => w.includes("/setup"));
  const url = new URL(setup ?? "").origin;
  const cookie = await setUp({ url, setup });
  return {
    url,
    cookie,
    program,
    call: (method, path, body) => api(url, cookie, method, path, body),
    async figure(name) {
      const text = await (await fetch(`${url}/metrics`)).text();
      return text
        .split("\n")
        .filter((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`))
        .reduce((sum, l) => sum + Number(l.split(" ").at(-1)), 0);
    },
    async token(uses) {
      const body = { group_id: "grp_root", uses, ttl_seconds: 3600 * 6, note: "benchmark" };
      return (await api<{ token: string }>(url, cookie, "POST", "/api/enrollment-tokens", body)).token;
    },
    async stop() {
      await program.stop();
      await remove();
    },
  };
}

/** What a fleet says of itself each second. */
type Tally = Record<"online" | "complete" | "fetches" | "reports" | "settled" | "slowest_ms", number>;

interface Fleet {
  tally(): Tally;
  until(what: string, ok: (t: Tally) => boolean, withinMs: number): Promise<Tally>;
  stop(): Promise<unknown>;
}

async function simulate(g: Gateway, devices: number, ...flags: string[]): Promise<Fleet> {
  const program = new Program([
    join(bin, "handrail-agent"),
    "simulate",
    ...["--gateway", g.url, "--token", await g.token(devices), "--count", String(devices), "--workers", "32"],
    ...["--every", "200ms", ...flags],
  ]);
  const tally = (): Tally => {
    const words = (program.said.slice(-1000).trimEnd().split("\n").at(-1) ?? "").split(" ");
    return Object.fromEntries(words.map((w, i) => [w, Number(words[i + 1])])) as Tally;
  };
  return {
    tally,
    until: (what, ok, withinMs) =>
      eventually(
        what,
        async () => {
          const t = tally();
          return ok(t) && t;
        },
        withinMs,
      ),
    stop: () => program.stop(),
  };
}

const screenLock = (seconds: number) => ({
  settings: [{ id: "screen.lock", value: { enabled: true, idle_seconds: seconds } }],
});

/** Makes a policy for every device and publishes it. */
async function makePolicy(g: Gateway): Promise<string> {
  const { id } = await g.call<{ id: string }>("POST", "/api/policies", {
    name: "Benchmark",
    ...screenLock(600),
  });
  const everybody = { assignments: [{ include: { groups: ["grp_root"] }, exclude: {}, priority: 1 }] };
  await write(g, "PUT", `/api/policies/${id}/assignments`, everybody);
  await write(g, "POST", `/api/policies/${id}/publish`, {});
  return id;
}

/** A change that does not mind what the policy was before. */
async function write(g: Gateway, method: string, path: string, body: unknown): Promise<void> {
  const answer = await fetch(`${g.url}${path}`, {
    method,
    headers: { "Content-Type": "application/json", Origin: g.url, Cookie: g.cookie, "If-Match": "*" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
}

async function editPolicy(g: Gateway, id: string, seconds: number): Promise<void> {
  await write(g, "PUT", `/api/policies/${id}/draft`, screenLock(seconds));
  await write(g, "POST", `/api/policies/${id}/publish`, {});
}

/** One fleet through its day, on one database. */
async function day(database: Database): Promise<Result[]> {
  const g = await startGateway(database);
  const fleet = await simulate(g, count, "--hold");
  try {
    await fleet.until("all devices connected", (t) => t.online >= count, 900_000);
    const began = performance.now();
    await fleet.until("all inventories taken", (t) => t.complete >= count, 900_000);
    const first = (performance.now() - began) / 1000;
    const slowest = fleet.tally().slowest_ms / 1000;

    const policy = await makePolicy(g);
    await fleet.until("the policy everywhere", (t) => t.settled >= count, 300_000);
    const changes: number[] = [];
    for (const seconds of [300, 240, 180]) {
      const before = fleet.tally().reports;
      const edited = performance.now();
      await editPolicy(g, policy, seconds);
      await fleet.until("a change at 95 %", (t) => t.reports - before >= 0.95 * count, 300_000);
      changes.push((performance.now() - edited) / 1000);
      await fleet.until("a change everywhere", (t) => t.reports - before >= count, 300_000);
    }

    await wait(120_000); // what follows from it all is done: indexes, labels, compliance
    const [requests, writes] = [
      await g.figure("handrail_http_requests_total"),
      await g.figure("handrail_db_writes_total"),
    ];
    await wait(idleSeconds * 1000);
    const memory = (await g.figure("process_resident_memory_bytes")) / 2 ** 20;
    const idle = {
      requests: (await g.figure("handrail_http_requests_total")) - requests,
      writes: (await g.figure("handrail_db_writes_total")) - writes,
    };
    return [
      { name: `first_inventory_s_${database}`, value: first, p95: slowest, n: count },
      summarise(`policy_change_s_${database}`, changes),
      { name: `idle_http_requests_${database}`, value: idle.requests, p95: idle.requests, n: count },
      { name: `idle_db_writes_${database}`, value: idle.writes, p95: idle.writes, n: count },
      { name: `idle_gateway_mib_${database}`, value: memory, p95: memory, n: count },
    ];
  } finally {
    await fleet.stop();
    await g.stop();
  }
}

const bars = (database: Database): Benchmark["bars"] => [
  { name: `first_inventory_s_${database}`, unit: "s", bar: 60, p95: 2, better: "lower" }, // p95 is the slowest request
  { name: `policy_change_s_${database}`, unit: "s", bar: 10, better: "lower" },
  { name: `idle_http_requests_${database}`, unit: "requests", bar: 0, better: "lower" },
  { name: `idle_db_writes_${database}`, unit: "transactions", bar: idleSeconds / 60 + 1, better: "lower" }, // last seen, once a minute for all
  { name: `idle_gateway_mib_${database}`, unit: "MiB", bar: 1024, better: "lower" },
];

export const managedFleetSqlite: Benchmark = { bars: bars("sqlite"), run: () => day("sqlite") };
export const managedFleetPg: Benchmark = { bars: bars("pg"), run: () => day("pg") };

/** Twenty edits while a device is away. */
export const offlineEdits: Benchmark = {
  bars: [{ name: "offline_edit_fetches", unit: "fetches", bar: 1, better: "lower" }],
  async run() {
    const g = await startGateway("sqlite");
    try {
      let device = await simulate(g, 1);
      const policy = await makePolicy(g);
      await device.until("the first manifest", (t) => t.settled === 1, 60_000);
      await device.stop();
      for (let i = 0; i < 20; i++) await editPolicy(g, policy, 100 + i);
      device = await simulate(g, 1);
      await device.until("the newest manifest", (t) => t.settled === 1, 60_000);
      await wait(10_000); // for one that should not come
      const { fetches } = device.tally();
      await device.stop();
      return [summarise("offline_edit_fetches", [fetches])];
    } finally {
      await g.stop();
    }
  },
};
