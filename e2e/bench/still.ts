/** A screen on which nothing moves costs nothing. */
import { setTimeout as wait } from "node:timers/promises";
import { cpuSeconds, pidsOf } from "../desktop.ts";
import { connect, openDevicePage, totals } from "../live.ts";
import { type Benchmark, summarise } from "./figure.ts";

const seconds = 60;

export const still: Benchmark = {
  bars: [
    { name: "static_frames", unit: "frames", bar: 0, better: "lower" },
    { name: "static_agent_cpu_pct", unit: "% of a core", bar: 1, better: "lower" },
    { name: "static_kbit_s", unit: "kbit/s", bar: 2, better: "lower" },
  ],
  async run() {
    const live = await openDevicePage();
    try {
      const { page, demo } = live;
      await connect(page);
      await wait(12_000); // the editor's caret stops blinking after ten seconds
      const agent = await pidsOf(demo, "handrail-agent"); // the daemon and the desktop helper
      const cpu = async () => (await Promise.all(agent.map(cpuSeconds))).reduce((a, b) => a + b, 0);
      const [t0, c0] = [await totals(page), await cpu()];
      await wait(seconds * 1000);
      const [t1, c1] = [await totals(page), await cpu()];
      return [
        summarise("static_frames", [t1.frames - t0.frames]),
        summarise("static_agent_cpu_pct", [((c1 - c0) / seconds) * 100]),
        summarise("static_kbit_s", [((t1.bytes - t0.bytes) * 8) / 1000 / seconds]),
      ];
    } finally {
      await live.close();
    }
  },
};
