/** What a browser with a cold cache loads to show a session. */
import { connect, openDevicePage } from "../live.ts";
import { type Benchmark, summarise } from "./figure.ts";

export const page: Benchmark = {
  bars: [{ name: "viewer_page_kbyte", unit: "kB", bar: 700, better: "lower" }],
  async run() {
    const live = await openDevicePage();
    try {
      await connect(live.page);
      const address = live.page.url();
      const samples: number[] = [];
      for (let i = 0; i < 3; i++) {
        const fresh = await live.browser.newContext();
        await fresh.addCookies(await live.context.cookies());
        const cold = await fresh.newPage();
        const devtools = await fresh.newCDPSession(cold);
        await devtools.send("Network.enable");
        let bytes = 0;
        devtools.on("Network.loadingFinished", (e) => {
          bytes += e.encodedDataLength;
        });
        await cold.goto(address);
        await cold.locator("video").waitFor();
        await cold.waitForLoadState("networkidle");
        samples.push(bytes / 1000);
        await fresh.close();
      }
      return [summarise("viewer_page_kbyte", samples)];
    } finally {
      await live.close();
    }
  },
};
