/** What the agent costs a device that nobody looks at. */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { residentMib } from "../desktop.ts";
import { demoDevice } from "../live.ts";
import { eventually } from "../program.ts";
import { api, setUp, startDemo } from "../stack.ts";
import { type Benchmark, summarise } from "./figure.ts";

/** How often the threads of a process went to sleep by themselves. */
async function sleeps(pid: number): Promise<number> {
  let sum = 0;
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const text = await readFile(`/proc/${pid}/task/${task}/status`, "utf8").catch(() => "");
    sum += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  }
  return sum;
}

/**
 * How many moments within a time a process was awake in. Go's runtime, once woken, looks some dozen times within
 * milliseconds whether there is more to do before it lies down; that is one moment.
 */
async function moments(pid: number, withinMs: number): Promise<number> {
  const until = Date.now() + withinMs;
  let seen = await sleeps(pid);
  let last = 0;
  let found = 0;
  while (Date.now() < until) {
    await wait(50);
    const now = await sleeps(pid);
    if (now === seen) continue;
    if (Date.now() - last > 400) found++;
    last = Date.now();
    seen = now;
  }
  return found;
}

/** The agent that a demo runs. */
async function agentOf(demo: number): Promise<number> {
  const children = await readFile(`/proc/${demo}/task/${demo}/children`, "utf8").catch(() => "");
  const all = [children];
  for (const task of await readdir(`/proc/${demo}/task`))
    all.push(await readFile(`/proc/${demo}/task/${task}/children`, "utf8").catch(() => ""));
  for (const pid of new Set(all.join(" ").split(/\s+/).filter(Boolean))) {
    const words = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (words.includes("handrail-agent")) return Number(pid);
  }
  throw new Error("the demo runs no agent");
}

/** The daemon of a real device with its desktop and companion, under the sample policy, once it has said everything. */
export const agentAtRest: Benchmark = {
  bars: [
    { name: "agent_rest_mib", unit: "MiB", bar: 25, better: "lower" },
    { name: "agent_rest_wakeups", unit: "/min", bar: 5, better: "lower" },
  ],
  async run() {
    const demo = await startDemo();
    try {
      const cookie = await setUp(demo);
      const device = await demoDevice(demo.url, cookie);
      type Settings = { settings: { state: string }[] };
      await eventually("its policy applied", async () => {
        const { settings } = await api<Settings>(demo.url, cookie, "GET", `/api/devices/${device}/settings`);
        return settings.length > 0 && settings.every((s) => s.state === "applied");
      });
      const pid = await agentOf(demo.program.child.pid ?? 0);
      await wait(90_000);
      const memory: number[] = [];
      const woken: number[] = [];
      for (let i = 0; i < 3; i++) {
        woken.push(await moments(pid, 60_000));
        memory.push(await residentMib(pid));
      }
      return [summarise("agent_rest_mib", memory), summarise("agent_rest_wakeups", woken)];
    } finally {
      await demo.stop();
    }
  },
};
