/** Click on Connect to the first picture, to a device whose group allows unattended access. */
import { connect as click, openDevicePage } from "../live.ts";
import { type Benchmark, summarise } from "./figure.ts";

export const connect: Benchmark = {
  bars: [{ name: "connect_to_picture_ms", unit: "ms", bar: 350, better: "lower" }],
  async run() {
    const live = await openDevicePage();
    try {
      const samples: number[] = [];
      for (let i = 0; i < 15; i++) {
        await live.page.goto(`${live.demo.url}/devices/${live.device}`);
        await live.page.waitForLoadState("networkidle");
        samples.push(await click(live.page));
      }
      return [summarise("connect_to_picture_ms", samples)];
    } finally {
      await live.close();
    }
  },
};
