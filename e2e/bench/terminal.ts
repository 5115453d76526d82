/** A key to its echo in a terminal, and what a flood of output does to the page and to Ctrl-C. */
import type { Page } from "playwright-core";
import { type Live, openDevicePage } from "../live.ts";
import { eventually } from "../program.ts";
import { api } from "../stack.ts";
import { type Benchmark, type Result, summarise } from "./figure.ts";

const keys = 220;
const interrupts = 12;
const capabilities = ["view", "terminal", "root"];
const floodBytes = 100_000_000;

export const terminal: Benchmark = {
  bars: [
    { name: "terminal_echo_ms", unit: "ms", bar: 20, better: "lower" },
    { name: "terminal_interrupt_ms", unit: "ms", bar: 200, better: "lower", p95: 200 },
    { name: "terminal_flood_frame_ms", unit: "ms", bar: 100, better: "lower", p95: 200 },
  ],
  async run() {
    const live = await openDevicePage();
    try {
      const page = await openTerminal(live);
      return [await echo(page), await interrupt(page), await flood(page)];
    } finally {
      await live.close();
    }
  },
};

/** A session with a terminal in it, at a plain shell. */
async function openTerminal({ demo, cookie, device, page }: Live): Promise<Page> {
  const { group_id } = await api<{ group_id: string }>(demo.url, cookie, "GET", `/api/devices/${device}`);
  await api(demo.url, cookie, "PATCH", `/api/groups/${group_id}`, {
    unattended: { enabled: true, capabilities },
  });
  const { id } = await api<{ id: string }>(demo.url, cookie, "POST", "/api/sessions", {
    device_id: device,
    reason: "",
    capabilities,
  });
  await page.goto(`${demo.url}/sessions/${id}/live?tool=terminal`);
  if (process.getuid?.() === 0) await page.getByRole("button", { name: "New as administrator" }).click();
  await page.evaluate(watchTerminal);
  await lastLine(page, /[#$]$/);
  await page.locator(".hv-term textarea").focus();
  await page.keyboard.type("PS1='re''ady> ' exec sh\n");
  await lastLine(page, /^ready>$/);
  return page;
}

async function lastLine(page: Page, words: RegExp): Promise<void> {
  await eventually(`${words} in the terminal`, () =>
    page.evaluate((w) => new RegExp(w).test(window.handrailLastLine()), words.source),
  );
}

/** From the key's event to the frame that draws its letter. */
async function echo(page: Page): Promise<Result> {
  await page.keyboard.type("cat\n");
  await lastLine(page, /cat$/);
  const samples: number[] = [];
  for (let i = 0; i < keys; i++) {
    await page.waitForTimeout(30 + Math.random() * 40); // spread over the browser's frame phase
    await page.evaluate(() => {
      window.handrailShown = window.handrailNext("x+$", "keydown");
    });
    await page.keyboard.press("x");
    samples.push(await page.evaluate(() => window.handrailShown));
    if (i % 40 === 39) await page.keyboard.press("Enter");
  }
  await page.keyboard.press("Control+C");
  await lastLine(page, /^ready>$/);
  return summarise("terminal_echo_ms", samples.slice(20));
}

/** From Ctrl-C, while as much comes as the page can show, to the shell's prompt. */
async function interrupt(page: Page): Promise<Result> {
  const samples: number[] = [];
  for (let i = 0; i < interrupts; i++) {
    await page.keyboard.type(`yes 'a line of output that goes on and on, as of a build gone wild'\n`);
    await lastLine(page, /^a line/);
    await page.waitForTimeout(1000 + Math.random() * 500);
    await page.evaluate(() => {
      window.handrailShown = window.handrailNext("^ready>$", "keydown");
    });
    await page.keyboard.press("Control+C");
    samples.push(await page.evaluate(() => window.handrailShown));
  }
  return summarise("terminal_interrupt_ms", samples);
}

/** The gaps between the page's frames while 100 MB are shown to their end. */
async function flood(page: Page): Promise<Result> {
  await page.evaluate(() => window.handrailFrames(true));
  await page.keyboard.type(
    `yes 'a line of output that goes on and on, as of a build gone wild' | head -c ${floodBytes}; echo; echo all-$((1+1))\n`,
  );
  const shown = page.waitForFunction(
    () => document.querySelector(".hv-term .xterm-rows")?.textContent?.includes("all-2"),
    undefined,
    { timeout: 300_000, polling: 100 },
  );
  await shown;
  const gaps = await page.evaluate(() => window.handrailFrames(false));
  const result = summarise("terminal_flood_frame_ms", gaps);
  process.stderr.write(
    `terminal: 100 MB in ${Math.round(gaps.reduce((a, b) => a + b, 0) / 1000)} s, longest frame ${Math.round(Math.max(...gaps))} ms\n`,
  );
  return result;
}

declare global {
  interface Window {
    /** The last line of the terminal that is not empty. */
    handrailLastLine(): string;
    /** Resolves to the milliseconds from the next event of that kind to the drawing of a last line that matches. */
    handrailNext(words: string, event: "keydown"): Promise<number>;
    /** Begins to note the milliseconds between frames, or ends it and returns them. */
    handrailFrames(on: boolean): number[];
  }
}

/** Runs in the page. */
function watchTerminal(): void {
  window.handrailLastLine = () => {
    const rows = [...document.querySelectorAll(".hv-term .xterm-rows > div")];
    for (let row = rows.pop(); row !== undefined; row = rows.pop()) {
      const text = (row.textContent ?? "").replaceAll("\u00a0", " ").trimEnd();
      if (text !== "") return text;
    }
    return "";
  };
  window.handrailNext = (words, event) =>
    new Promise((done, fail) => {
      const wanted = new RegExp(words);
      const before = window.handrailLastLine();
      let pressed = 0;
      const press = (e: KeyboardEvent) => {
        if (e.key !== "Control" && pressed === 0) pressed = e.timeStamp;
      };
      window.addEventListener(event, press, { capture: true });
      const limit = setTimeout(() => end(() => fail(new Error("no answer within 20 s"))), 20_000);
      const observer = new MutationObserver(() => {
        const now = window.handrailLastLine();
        if (pressed > 0 && now !== before && wanted.test(now)) {
          const ms = performance.now() - pressed;
          end(() => done(ms));
        }
      });
      const end = (then: () => void) => {
        clearTimeout(limit);
        observer.disconnect();
        window.removeEventListener(event, press, { capture: true });
        then();
      };
      const rows = document.querySelector(".hv-term .xterm-rows");
      if (rows !== null) observer.observe(rows, { childList: true, subtree: true, characterData: true });
    });
  let gaps: number[] = [];
  let noting = false;
  let last = 0;
  const frame = (at: number) => {
    if (!noting) return;
    if (last > 0) gaps.push(at - last);
    last = at;
    requestAnimationFrame(frame);
  };
  window.handrailFrames = (on) => {
    noting = on;
    if (!on) return gaps;
    gaps = [];
    last = 0;
    requestAnimationFrame(frame);
    return [];
  };
}
