import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { axeSource, type Bench, startBench } from "./browser.ts";

/** Where pictures of the pages go, for people to look at; nowhere without it. */
const shots = process.env.VIEWER_SHOTS;

let bench: Bench;
beforeAll(async () => {
  bench = await startBench();
  if (shots !== undefined) mkdirSync(shots, { recursive: true });
});
afterEach(async () => bench.clear());
afterAll(async () => bench.close());

/** Opens the page of a device with tools and waits for its picture. */
async function live(query = "", options: Parameters<Bench["open"]>[1] = {}): Promise<Page> {
  const page = await bench.open(`?tools${query}`, options);
  await page.waitForFunction(() => lab.session.view.transport === "connected");
  return page;
}

async function shot(page: Page, name: string): Promise<void> {
  if (shots !== undefined) await page.screenshot({ path: path.join(shots, `${name}.png`) });
}

const openTool = async (page: Page, label: string) => {
  await page.getByRole("button", { name: "Tools", exact: true }).click();
  await page.getByRole("menuitemcheckbox", { name: label }).click();
};

const serious = async (page: Page): Promise<string[]> => {
  await page.evaluate(readFileSync(axeSource, "utf8"));
  return page.evaluate(async () => {
    type Violation = { id: string; impact: string; nodes: { html: string }[] };
    const axe = (globalThis as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } }).axe;
    const { violations } = await axe.run();
    return violations
      .filter((v) => v.impact === "serious" || v.impact === "critical")
      .map((v) => `${v.id}: ${v.nodes[0]?.html ?? ""}`);
  });
};

describe("the dock", () => {
  test("opens a tool beside the picture, hides it, and the keyboard goes where the focus is", async () => {
    const page = await live();
    await openTool(page, "Live figures");
    await page.getByRole("tab", { name: "Live figures" }).waitFor();
    expect(await page.evaluate(() => lab.calls)).toContain("tool vitals");
    await page.waitForFunction(() => lab.agent.tools.length === 1);
    await page.getByRole("tab", { name: "Live figures" }).focus();
    await page.keyboard.press("x");
    expect(await page.evaluate(() => lab.agent.frames.some((f) => f.type === "key_down"))).toBe(false);
    await shot(page, "dock-right");
    const edge = page.getByRole("separator", { name: "Size of the tools" });
    const before = Number(await edge.getAttribute("aria-valuenow"));
    await edge.press("ArrowLeft");
    expect(Number(await edge.getAttribute("aria-valuenow"))).toBe(before + 5);
    await page.getByRole("button", { name: "Move the tools under the picture" }).click();
    await shot(page, "dock-bottom");
    await page.getByRole("button", { name: "Hide the tools; they go on" }).click();
    await page.getByRole("tab", { name: "Live figures" }).waitFor({ state: "hidden" });
    expect(await page.evaluate(() => lab.agent.tools.length)).toBe(1);
    await page.waitForFunction(() => document.activeElement?.tagName === "TEXTAREA");
    await openTool(page, "Live figures");
    await page.getByRole("button", { name: "Close this tool" }).click();
    await page.waitForFunction(() => lab.agent.tools.length === 0);
  });

  test("a right that is missing is asked for, one that is taken back stops the tool", async () => {
    const page = await live("&tool=vitals");
    await page.waitForFunction(() => lab.agent.tools.length === 1);
    await page.evaluate(() => {
      lab.agent.endTool("vitals", "not_granted", "Diagnostics were taken back.");
      const without = lab.agent.status.may.filter((c) => c !== "diagnostics");
      lab.agent.grant({ granted: without, may: without });
    });
    await page.getByText("Diagnostics was taken back at demo-desktop.").waitFor();
    expect(await page.evaluate(() => lab.agent.tools.length)).toBe(0);
    await shot(page, "dock-taken-back");
    await page.getByRole("button", { name: "Ask for diagnostics" }).click();
    expect(await page.evaluate(() => lab.calls.at(-1))).toBe("ask view control clipboard diagnostics");
    await page.evaluate(() => {
      const all = [...lab.agent.status.may, "diagnostics"] as const;
      lab.agent.grant({ granted: all, may: all });
    });
    await page.waitForFunction(() => lab.agent.tools.length === 1);
    await page.getByText("was taken back").waitFor({ state: "detached" });
  });

  test("a new connection opens the tool again", async () => {
    const page = await live("&tool=vitals");
    await page.waitForFunction(() => lab.agent.tools.length === 1);
    await page.evaluate(() => lab.agent.restart());
    await page.waitForFunction(
      () =>
        lab.agent.offers === 2 && lab.session.view.transport === "connected" && lab.agent.tools.length === 1,
    );
  });

  test("a session without a picture has the tools alone", async () => {
    const page = await live("&alone&tool=vitals");
    await page.getByRole("tab", { name: "Live figures" }).waitFor();
    expect(await page.locator("video").count()).toBe(0);
    await page.getByRole("button", { name: "Close this tool" }).click();
    await page.getByRole("button", { name: "Live figures" }).waitFor();
    expect(await serious(page)).toEqual([]);
  });
});

describe("live figures", () => {
  test("graphs move, rest while paused, go back, and are kept and compared", async () => {
    const page = await live("&tool=vitals");
    const shown = page.getByTestId("vitals-time");
    const first = await shown.textContent();
    await page.waitForFunction(
      (was) => document.querySelector("[data-testid=vitals-time]")?.textContent !== was,
      first,
    );
    const processor = page.getByRole("region", { name: "Processor" });
    await processor.locator("canvas").waitFor({ state: "attached" });
    expect(await processor.getByRole("definition").textContent()).toMatch(/^\d+(\.\d)? %$/);
    expect(await page.getByRole("region", { name: "Memory of 8.0 GiB" }).textContent()).toContain("GiB");
    await shot(page, "vitals");
    await page.getByRole("button", { name: "Pause" }).click();
    const rest = await shown.textContent();
    expect(rest).toContain("At ");
    await page.waitForFunction(
      (n) => lab.agent.figures > n + 3,
      await page.evaluate(() => lab.agent.figures),
    );
    expect(await shown.textContent()).toBe(rest);
    await page.getByRole("slider", { name: "Go back in time" }).press("PageDown");
    expect(await shown.textContent()).not.toBe(rest);
    await page.getByRole("button", { name: "Snapshot" }).click();
    await page.waitForFunction(() => lab.agent.said.some((m) => m.type === "vitals.keep"));
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Save the snapshot" }).click();
    expect((await download).suggestedFilename()).toMatch(/^demo-desktop .*json$/);
    await page.getByRole("button", { name: "Go on", exact: true }).click();
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByRole("row", { name: /Swap of 1.0 GiB, used.*the same/ }).waitFor();
    await shot(page, "vitals-compare");
    expect(await serious(page)).toEqual([]);
  });

  test("dark, and narrow", async () => {
    const page = await live("&tool=vitals&scheme=dark", { viewport: { width: 420, height: 800 } });
    await page.getByRole("region", { name: "Processor" }).locator("canvas").waitFor({ state: "attached" });
    await shot(page, "vitals-dark-narrow");
    expect(await serious(page)).toEqual([]);
  });
});

describe("diagnostics", () => {
  test("a finding leads to its process, which is ended; of 2,000 only those in sight are drawn", async () => {
    const page = await live("&alone&tool=findings");
    await page.getByRole("heading", { name: "worker keeps a processor busy" }).waitFor();
    expect(await serious(page)).toEqual([]);
    await page.getByRole("button", { name: "Show in Processes" }).click();
    const details = page.getByRole("region", { name: "Process worker" });
    await details.getByText("127.0.0.1:8080").waitFor();
    const list = page.getByRole("grid", { name: "Processes" });
    expect(await list.getAttribute("aria-rowcount")).toBe("2001");
    expect(await list.getByRole("row").count()).toBeLessThan(120);
    await shot(page, "processes");
    expect(await serious(page)).toEqual([]);
    await details.getByRole("button", { name: "End", exact: true }).click();
    await details.getByRole("button", { name: "End worker?" }).click();
    await page.getByText("worker (1500) has ended.").waitFor();
    await details.getByText("It has ended.").waitFor();
    await page.getByText("1999 processes").waitFor();
    // Another's process needs more than this session has.
    await page.getByRole("searchbox", { name: "Filter processes" }).fill("program-1200");
    await page.getByRole("row", { name: /program-1200/ }).click();
    await page.getByText("that needs administrator rights").waitFor();
    expect(await page.getByRole("button", { name: "End", exact: true }).isDisabled()).toBe(true);
  });

  test("the journal says how many lines are missing, and is acknowledged once it is drawn", async () => {
    const page = await live("&alone&tool=journal");
    const lines = page.getByRole("grid", { name: "Lines of the log" });
    await lines.getByText("line 400").waitFor();
    await lines.getByText("… 312 lines are not shown here …").waitFor();
    await page.getByText("312 lines were not shown").waitFor();
    await page.waitForFunction(() => lab.agent.said.filter((m) => m.type === "journal.ack").length === 2);
    await lines.getByText("line 3", { exact: true }).click();
    await page.getByRole("button", { name: "Only worker" }).click();
    await page.waitForFunction(() => lab.agent.said.filter((m) => m.type === "journal.open").length === 2);
    await shot(page, "journal");
    expect(await serious(page)).toEqual([]);
  });
});
