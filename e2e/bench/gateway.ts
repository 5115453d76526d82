/** What the programs cost at rest, and how soon the gateway is there. */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { pidsOf, residentMib, startXapp } from "../desktop.ts";
import { connect, openDevicePage } from "../live.ts";
import { bin, Program, scratch } from "../program.ts";
import { type Benchmark, type Result, summarise } from "./figure.ts";

/** Starts a gateway again and again on data that is there already, until its ready line. */
async function warmStarts(): Promise<Result> {
  const { dir, remove } = await scratch();
  const samples: number[] = [];
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    const p = new Program([join(bin, "handrail-gateway"), "run", "--data", dir], {
      HANDRAIL_LISTEN: "127.0.0.1:0",
      HANDRAIL_TURN_LISTEN: "127.0.0.1:0",
    });
    await p.says(/https?:\/\//);
    if (i > 0) samples.push(performance.now() - start); // the first one makes the database
    await p.stop();
  }
  await remove();
  return summarise("gateway_start_ms", samples);
}

/** Memory, once a second for `seconds`. */
async function watchMemory(name: string, seconds: number, mib: () => Promise<number>): Promise<Result> {
  const samples: number[] = [];
  for (let i = 0; i < seconds; i++) {
    await wait(1000);
    samples.push(await mib());
  }
  return summarise(name, samples);
}

export const gateway: Benchmark = {
  bars: [
    { name: "gateway_start_ms", unit: "ms", bar: 500, better: "lower" },
    { name: "gateway_idle_mib", unit: "MiB", bar: 80, better: "lower" },
    { name: "agent_idle_mib", unit: "MiB", bar: 30, better: "lower" },
    { name: "agent_streaming_mib", unit: "MiB", bar: 120, better: "lower" },
  ],
  async run() {
    const results = [await warmStarts()];
    const live = await openDevicePage();
    try {
      const [gatewayPid = 0] = await pidsOf(live.demo, "handrail-gateway");
      // The demo's desktop belongs to the agent's own account: one process does it all.
      const [agentPid = 0] = await pidsOf(live.demo, "handrail-agent");
      const agent = () => residentMib(agentPid);
      await live.page.goto("about:blank");
      await wait(5000);
      results.push(await watchMemory("gateway_idle_mib", 5, () => residentMib(gatewayPid)));
      results.push(await watchMemory("agent_idle_mib", 5, agent));
      await live.page.goto(`${live.demo.url}/devices/${live.device}`);
      await connect(live.page);
      const app = await startXapp(live.demo, "-mode", "scroll");
      await wait(10_000);
      results.push(await watchMemory("agent_streaming_mib", 10, agent));
      await app.stop();
      return results;
    } finally {
      await live.close();
    }
  },
};
