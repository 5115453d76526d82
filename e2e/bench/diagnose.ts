/** What live diagnostics cost an idle device, and how soon long lists are there. */
import { type ChildProcess, spawn } from "node:child_process";
import { appendFile, rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Page } from "playwright-core";
import { cpuSeconds, pidsOf } from "../desktop.ts";
import { type Live, openDevicePage, totals } from "../live.ts";
import { api } from "../stack.ts";
import { type Benchmark, type Result, summarise } from "./figure.ts";

const windowMs = 10_000;
const windows = 4;
const processes = 2000;
const openings = 12;
const linesPerSecond = 5000;
const floodSeconds = 12;
const logFile = "/var/log/handrail-bench.log";

export const diagnose: Benchmark = {
  bars: [
    { name: "diagnostics_cpu_pct", unit: "% of a core", bar: 1, better: "lower" },
    { name: "diagnostics_kbit_s", unit: "kbit/s", bar: 20, better: "lower" },
    { name: "process_list_ms", unit: "ms", bar: 200, better: "lower" },
    { name: "journal_fps", unit: "frames/s", bar: 30, better: "higher" },
  ],
  async run() {
    const live = await openDevicePage();
    try {
      await openTools(live);
      return [...(await atRest(live)), await processList(live.page), await journal(live.page)];
    } finally {
      await live.close();
    }
  },
};

/** A session without a picture, at the live figures. */
async function openTools({ demo, cookie, device, page }: Live): Promise<void> {
  const capabilities = ["diagnostics", "root"];
  const { group_id } = await api<{ group_id: string }>(demo.url, cookie, "GET", `/api/devices/${device}`);
  await api(demo.url, cookie, "PATCH", `/api/groups/${group_id}`, {
    unattended: { enabled: true, capabilities: ["view", ...capabilities] },
  });
  const { id } = await api<{ id: string }>(demo.url, cookie, "POST", "/api/sessions", {
    device_id: device,
    reason: "",
    capabilities,
  });
  await page.goto(`${demo.url}/sessions/${id}/live?tool=vitals`);
  await page.getByRole("region", { name: "Processor" }).waitFor();
}

/** What the agent uses and sends while somebody looks at the live figures, all of it. */
async function atRest({ demo, page }: Live): Promise<Result[]> {
  const [agent = 0] = await pidsOf(demo, "handrail-agent");
  const cpu: number[] = [];
  const rate: number[] = [];
  await page.waitForTimeout(5000); // what a new session does once is over
  for (let i = 0; i < windows; i++) {
    const [before, bytes] = [await cpuSeconds(agent), await totals(page)];
    await page.waitForTimeout(windowMs);
    const [after, now] = [await cpuSeconds(agent), await totals(page)];
    const seconds = (now.at - bytes.at) / 1000;
    cpu.push(((after - before) / seconds) * 100);
    rate.push(((now.bytes - bytes.bytes) * 8) / 1000 / seconds);
  }
  return [summarise("diagnostics_cpu_pct", cpu), summarise("diagnostics_kbit_s", rate)];
}

const open = async (page: Page, label: string) => {
  await page.getByRole("button", { name: "Tools", exact: true }).click();
  await page.getByRole("menuitemcheckbox", { name: label }).click();
};

/** From the click to the first rows of a device with 2,000 processes. */
async function processList(page: Page): Promise<Result> {
  const asleep: ChildProcess[] = [];
  try {
    for (let i = 0; i < processes; i++) asleep.push(spawn("sleep", ["600"], { stdio: "ignore" }));
    await open(page, "Processes");
    await page.getByText(/^\d+ processes$/).waitFor();
    const samples: number[] = [];
    for (let i = 0; i < openings; i++) {
      await page.getByRole("button", { name: "Close this tool" }).click();
      await page.getByRole("button", { name: "Tools", exact: true }).click();
      samples.push(
        await page.getByRole("menuitemcheckbox", { name: "Processes" }).evaluate(
          (item: HTMLElement) =>
            new Promise<number>((done) => {
              const start = performance.now();
              const look = () => {
                if (document.querySelector(".hv-pane:not([hidden]) .hv-row") === null) return;
                observer.disconnect();
                requestAnimationFrame(() => done(performance.now() - start));
              };
              const observer = new MutationObserver(look);
              observer.observe(document, { childList: true, subtree: true });
              item.click();
            }),
        ),
      );
    }
    return summarise("process_list_ms", samples);
  } finally {
    for (const p of asleep) p.kill("SIGKILL");
  }
}

/** Frames a second of the page while the journal it follows grows by 5,000 lines a second. */
async function journal(page: Page): Promise<Result> {
  await writeFile(logFile, "begin\n");
  let writing = true;
  try {
    await open(page, "Journal");
    await page.getByRole("combobox", { name: "File" }).selectOption({ label: basename(logFile) });
    await page.getByRole("grid", { name: "Lines of the log" }).getByText("begin").waitFor();
    let n = 0;
    const flood = (async () => {
      while (writing) {
        const lines = Array.from(
          { length: linesPerSecond / 20 },
          () => `a line of a log that runs over, number ${n++}`,
        );
        await appendFile(logFile, `${lines.join("\n")}\n`);
        await new Promise((r) => setTimeout(r, 50));
      }
    })();
    await page.waitForTimeout(2000);
    const samples = await page.evaluate(async (seconds) => {
      const rates: number[] = [];
      for (let i = 0; i < seconds; i++) {
        const start = performance.now();
        let frames = 0;
        while (performance.now() - start < 1000) {
          await new Promise((next) => requestAnimationFrame(next));
          frames++;
        }
        rates.push((frames * 1000) / (performance.now() - start));
      }
      return rates;
    }, floodSeconds);
    writing = false;
    await flood;
    return summarise("journal_fps", samples);
  } finally {
    writing = false;
    await rm(logFile, { force: true });
  }
}
