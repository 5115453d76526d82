/** A file of 1 GiB both ways over a direct channel: how fast, at what cost, after a cut, and beside the picture. */
import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Page } from "playwright-core";
import { pidsOf, residentMib, startXapp } from "../desktop.ts";
import { demoDevice, type Live, openDevicePage } from "../live.ts";
import { eventually, scratch } from "../program.ts";
import { api } from "../stack.ts";
import { type Benchmark, percentile, type Result, summarise } from "./figure.ts";
import { watchColour } from "./keys.ts";

const mib = 1 << 20;
const size = 1024 * mib;
const block = 56 << 10;
const rights = ["view", "control", "files", "root"];

declare global {
  interface Window {
    /** Where blocks went to and came from, in order, one list for each channel of files. */
    handrailBlocks: { sent: number[]; got: number[] }[];
  }
}

/** Notes the offsets of the blocks on the page's channels. */
function watchBlocks(): void {
  window.handrailBlocks = [];
  delete (window as { showSaveFilePicker?: unknown }).showSaveFilePicker;
  const make = RTCPeerConnection.prototype.createDataChannel;
  const at = (frame: ArrayBufferView | ArrayBuffer) => {
    const v = ArrayBuffer.isView(frame) ? new DataView(frame.buffer, frame.byteOffset) : new DataView(frame);
    return v.getUint32(5) * 2 ** 32 + v.getUint32(9);
  };
  RTCPeerConnection.prototype.createDataChannel = function (label, options) {
    const c = make.call(this, label, options);
    if (label !== "tool/files") return c;
    const own = { sent: [] as number[], got: [] as number[] };
    window.handrailBlocks.push(own);
    const send = c.send.bind(c) as (m: unknown) => void;
    c.send = ((m: unknown) => {
      send(m);
      if (ArrayBuffer.isView(m)) own.sent.push(at(m));
    }) as typeof c.send;
    c.addEventListener("message", (e) => {
      if (e.data instanceof ArrayBuffer) own.got.push(at(e.data));
    });
    return c;
  };
}

/** A session with the files' pane open in a folder of its own. */
class FileBench {
  readonly live: Live;
  readonly page: Page;
  readonly dir: string;

  private constructor(live: Live, page: Page, dir: string) {
    this.live = live;
    this.page = page;
    this.dir = dir;
  }

  /** Runs something with a session of its own. */
  static async with<T>(run: (b: FileBench) => Promise<T>): Promise<T> {
    const { dir, remove } = await scratch();
    const live = await openDevicePage();
    await live.context.addInitScript(watchBlocks);
    const { group_id } = await api<{ group_id: string }>(
      live.demo.url,
      live.cookie,
      "GET",
      `/api/devices/${live.device}`,
    );
    await api(live.demo.url, live.cookie, "PATCH", `/api/groups/${group_id}`, {
      unattended: { enabled: true, capabilities: rights },
    });
    const { id } = await api<{ id: string }>(live.demo.url, live.cookie, "POST", "/api/sessions", {
      device_id: live.device,
      reason: "",
      capabilities: rights,
    });
    const page = await live.context.newPage();
    await live.page.close();
    await page.goto(`${live.demo.url}/sessions/${id}/live?tool=files`);
    if (process.getuid?.() === 0) await page.getByRole("button", { name: "Open as administrator" }).click();
    try {
      const bench = new FileBench(live, page, dir);
      await bench.go(dir);
      return await run(bench);
    } finally {
      await live.close();
      await remove();
    }
  }

  async go(path: string): Promise<void> {
    const way = this.page.getByRole("navigation", { name: /^Folder/ });
    await way.getByRole("button", { name: "/", exact: true }).click();
    for (const part of path.split("/").filter((p) => p !== "")) {
      const search = this.page.getByRole("searchbox");
      await search.fill(part);
      await search.press("Enter");
      await this.row(part).dblclick();
      await way.getByRole("button", { name: part, exact: true }).waitFor();
      await search.fill("");
    }
  }

  row(name: string) {
    return this.page
      .getByRole("row")
      .filter({ has: this.page.getByText(name, { exact: true }) })
      .first();
  }

  get transfers() {
    return this.page.getByRole("region", { name: "Transfers" }).getByRole("listitem");
  }

  async upload(path: string): Promise<void> {
    await this.page.getByLabel("Files to upload").setInputFiles(path);
  }

  async download(name: string): Promise<void> {
    await this.page.getByRole("button", { name: "Refresh", exact: true }).click();
    await this.row(name).click();
    await this.page.getByRole("button", { name: "Download", exact: true }).click();
  }

  /** Waits for the newest transfer to be done, then takes it off the list. */
  async done(): Promise<void> {
    await this.transfers.first().getByText(/^Done/).waitFor({ timeout: 280_000 });
    await this.transfers
      .first()
      .getByRole("button", { name: /^Remove/ })
      .click();
  }

  async agent(): Promise<number> {
    const [pid] = await pidsOf(this.live.demo, "handrail-agent");
    if (pid === undefined) throw new Error("no agent");
    return pid;
  }
}

/** A file of that many bytes that no two blocks have alike. */
async function make(path: string, bytes: number): Promise<void> {
  const f = await open(path, "w");
  const piece = randomBytes(mib);
  for (let at = 0; at < bytes; at += mib) {
    piece.writeUInt32BE(at / mib, 0);
    await f.write(piece);
  }
  await f.close();
}

/** What the browser's processes have in memory for themselves, in MiB. */
async function browserMib(): Promise<number> {
  let sum = 0;
  for (const pid of (await readdir("/proc")).filter((n) => /^\d+$/.test(n))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (!/chromium|chrome/.test(line.split("\0")[0] ?? "")) continue;
    const roll = await readFile(`/proc/${pid}/smaps_rollup`, "utf8").catch(() => "");
    sum += Number(/^Pss_Anon:\s+(\d+)/m.exec(roll)?.[1] ?? 0) / 1024;
  }
  return sum;
}

/** Runs something and returns how many MiB agent and browser had more at the worst moment than before. */
async function watched(agent: number, run: () => Promise<void>): Promise<{ agent: number; browser: number }> {
  const before = { agent: await residentMib(agent), browser: await browserMib() };
  const most = { ...before };
  let over = false;
  const watch = (async () => {
    while (!over) {
      most.agent = Math.max(most.agent, await residentMib(agent));
      most.browser = Math.max(most.browser, await browserMib());
      await wait(500);
    }
  })();
  await run().finally(() => {
    over = true;
  });
  await watch;
  return { agent: most.agent - before.agent, browser: most.browser - before.browser };
}

const timed = async (run: () => Promise<void>) => {
  const start = performance.now();
  await run();
  return performance.now() - start;
};

const mbits = (ms: number) => (size * 8) / 1000 / ms;

export const files: Benchmark = {
  bars: [
    { name: "file_mbit_s", unit: "Mbit/s", bar: 300, better: "higher" },
    { name: "file_agent_mib", unit: "MiB", bar: 64, better: "lower" },
    { name: "file_browser_mib", unit: "MiB", bar: 64, better: "lower" },
  ],
  run: () =>
    FileBench.with(async (b) => {
      const source = join(b.dir, "source.bin");
      await make(source, size);
      const there = join(b.dir, "there");
      await mkdir(there);
      await b.go(there);
      const rates: number[] = [];
      const cost = await watched(await b.agent(), async () => {
        const up = await timed(async () => {
          await b.upload(source);
          await b.done();
        });
        const down = await timed(async () => {
          await b.download("source.bin");
          await b.done();
        });
        process.stderr.write(`up ${mbits(up).toFixed(0)} Mbit/s, down ${mbits(down).toFixed(0)} Mbit/s\n`);
        rates.push(mbits(up), mbits(down));
      });
      return [
        { name: "file_mbit_s", value: Math.min(...rates), p95: Math.max(...rates), n: rates.length },
        summarise("file_agent_mib", [cost.agent]),
        summarise("file_browser_mib", [cost.browser]),
      ];
    }),
};

/** The same cut in the middle, by the death of the agent, in both directions. */
export const fileResume: Benchmark = {
  bars: [{ name: "file_resume_blocks", unit: "blocks", bar: 1, better: "lower" }],
  run: () =>
    FileBench.with(async (b): Promise<readonly Result[]> => {
      const half = 512 * mib;
      const source = join(b.dir, "source.bin");
      await make(source, half);
      const there = join(b.dir, "there");
      await mkdir(there);
      await b.go(there);
      const again: number[] = [];
      const cut = async () => {
        process.kill(await b.agent(), "SIGKILL");
      };
      const lists = () => b.page.evaluate(() => window.handrailBlocks);

      await b.upload(source);
      const part = await eventually("half of it", async () => {
        const name = (await readdir(there)).find((n) => n.endsWith(".part"));
        return name !== undefined && (await stat(join(there, name))).size > half / 2 && join(there, name);
      });
      await cut();
      const kept = (await stat(part)).size;
      await demoDevice(b.live.demo.url, b.live.cookie);
      await b.done();
      const [, resumed] = (await lists()).filter((l) => l.sent.length > 0);
      again.push(Math.ceil(Math.max(0, kept - (resumed?.sent[0] ?? 0)) / block));

      await b.download("source.bin");
      await eventually("half of it", async () =>
        (await lists()).some((l) => l.got.length * block > half / 2),
      );
      await cut();
      await demoDevice(b.live.demo.url, b.live.cookie);
      await b.done(); // which says that the sums are equal
      const [before, after] = (await lists()).filter((l) => l.got.length > 0);
      again.push(Math.ceil(Math.max(0, (before?.got.at(-1) ?? 0) + block - (after?.got[0] ?? 0)) / block));
      await rm(source);
      return [
        { name: "file_resume_blocks", value: Math.max(...again), p95: Math.max(...again), n: again.length },
      ];
    }),
};

const presses = 60;

/** A click's way to the picture while a file runs at full speed, by its way when all is quiet. */
export const fileLatency: Benchmark = {
  bars: [{ name: "file_latency_ratio", unit: "", bar: 1.5, better: "lower" }],
  run: () =>
    FileBench.with(async (b) => {
      const source = join(b.dir, "source.bin");
      await make(source, size);
      const there = join(b.dir, "there");
      await mkdir(there);
      await b.go(there);
      const app = await startXapp(
        b.live.demo,
        "-mode",
        "flash",
        "-x",
        "760",
        "-y",
        "390",
        "-w",
        "400",
        "-h",
        "300",
      );
      try {
        const { page } = b;
        await page.evaluate(watchColour);
        const box = await page.locator("video").boundingBox();
        if (!box) throw new Error("no video");
        const aim = async () => page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
        const measure = async (more: () => Promise<boolean>) => {
          await aim();
          const samples: number[] = [];
          while (samples.length < presses && (await more())) {
            await page.waitForTimeout(50 + Math.random() * 100);
            await page.evaluate(() => {
              window.handrailShown = window.handrailNextColour();
            });
            await page.keyboard.press("a");
            samples.push(await page.evaluate(() => window.handrailShown));
          }
          return samples.slice(5);
        };
        const quiet = await measure(async () => true);
        const moving = async () => (await b.transfers.first().getByRole("progressbar").count()) > 0;
        await b.upload(source);
        const up = await measure(moving);
        await b.done();
        await b.download("source.bin");
        await b.transfers.first().getByRole("progressbar").waitFor();
        const down = await measure(moving);
        await b.done();
        const base = percentile(quiet, 0.5);
        const ratios = [percentile(up, 0.5) / base, percentile(down, 0.5) / base];
        process.stderr.write(
          `quiet ${base.toFixed(1)} ms, ratios ${ratios.map((r) => r.toFixed(2)).join(" up, ")} down\n`,
        );
        return [
          {
            name: "file_latency_ratio",
            value: Math.max(...ratios),
            p95: Math.max(...ratios),
            n: up.length + down.length,
          },
        ];
      } finally {
        await app.stop();
      }
    }),
};
