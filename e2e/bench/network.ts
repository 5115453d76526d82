/** A device without a network for ten seconds: from the network's return to the next picture. */
import { setTimeout as wait } from "node:timers/promises";
import { FarSession } from "../far.ts";
import { type Benchmark, summarise } from "./figure.ts";

export const network: Benchmark = {
  bars: [{ name: "network_return_ms", unit: "ms", bar: 2000, better: "lower" }],
  async run() {
    const far = await FarSession.open();
    try {
      const samples: number[] = [];
      for (let i = 0; i < 10; i++) {
        samples.push(await far.cut(() => wait(10_000)));
        await wait(2000); // the next cut begins from rest
      }
      return [summarise("network_return_ms", samples)];
    } finally {
      await far.close();
    }
  },
};
