import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible } from "./browser.ts";
import { banner, oneRow, Person } from "./companion.ts";
import { pidsOf } from "./desktop.ts";
import { type Live, openDevicePage } from "./live.ts";
import { eventually, Program } from "./program.ts";
import { api } from "./stack.ts";

/** A device is looked into without its screen: figures that move, a process that is ended, rights that are taken back. */

let live: Live;
let runaway: Program | undefined;

beforeAll(async () => {
  live = await openDevicePage();
  // The person at the device need not agree here; what they take back counts all the same.
  const { group_id } = await api<{ group_id: string }>(
    live.demo.url,
    live.cookie,
    "GET",
    `/api/devices/${live.device}`,
  );
  await api(live.demo.url, live.cookie, "PATCH", `/api/groups/${group_id}`, {
    unattended: { enabled: true, capabilities: ["view", "diagnostics", "root"] },
  });
});

afterAll(async () => {
  await runaway?.stop("SIGKILL");
  await live?.close();
});

/** Keeps a picture of the operator's page, for people to look at. */
async function shot(name: string): Promise<void> {
  const dir = process.env.HANDRAIL_SHOTS;
  if (dir !== undefined) await live.page.screenshot({ path: join(dir, `${name}.png`) });
}

const tool = async (label: string) => {
  await live.page.getByRole("button", { name: "Tools", exact: true }).click();
  await live.page.getByRole("menuitemcheckbox", { name: label }).click();
};

type Session = { state: string; granted: string[]; timeline: { kind: string; detail: string }[] };

async function record(): Promise<Session> {
  const id = /ses_[0-9a-z]+/.exec(live.page.url())?.[0];
  return api<Session>(live.demo.url, live.cookie, "GET", `/api/sessions/${id}`);
}

/** The record's lines, once one of them matches. */
const noted = (what: RegExp) =>
  eventually(`${what} in the record`, async () =>
    (await record()).timeline.some((e) => what.test(`${e.kind} ${e.detail}`)),
  );

test("Diagnose opens the tools of a device, and no picture", async () => {
  await live.page.getByRole("button", { name: "Diagnose" }).click();
  await tool("Live figures");
  await live.page.getByRole("region", { name: "Processor" }).waitFor();
  expect(await live.page.locator("video").count()).toBe(0);
  const { granted } = await record();
  expect(granted).toContain("diagnostics");
  expect(granted).not.toContain("view");
  await noted(/tool_opened.*vitals/);
});

test("the graphs move", async () => {
  const time = live.page.getByTestId("vitals-time");
  const first = await time.textContent();
  await expect.poll(() => time.textContent()).not.toBe(first);
  const processor = live.page.getByRole("region", { name: "Processor" }).getByRole("definition");
  await expect.poll(() => processor.textContent()).toMatch(/^\d+(\.\d)? %$/);
  await shot("diagnose-vitals");
  await expectAccessible(live.page, "live figures");
  await live.page.getByRole("button", { name: "Snapshot" }).click();
  await noted(/vitals: snapshot: processor \d+ %/);
});

test("a runaway process is found and ended, and the record says so", async () => {
  runaway = new Program(["sh", "-c", "echo begun; while :; do :; done"], {}, { argv0: "handrail-runaway" });
  await runaway.says(/begun/);
  await tool("Processes");
  await live.page.getByRole("searchbox", { name: "Filter processes" }).fill(String(runaway.child.pid));
  await live.page.getByRole("row", { name: new RegExp(`${runaway.child.pid}`) }).click();
  const details = live.page.getByRole("region", { name: /^Process / });
  await details.getByText("while :; do :; done").waitFor();
  await shot("diagnose-process");
  await expectAccessible(live.page, "a process");
  await details.getByRole("button", { name: "End", exact: true }).click();
  await details.getByRole("button", { name: /^End .*\?$/ }).click();
  await runaway.exited;
  await details.getByText("It has ended.").waitFor();
  await noted(new RegExp(`process: .*${runaway.child.pid}`));
});

test("rights taken back at the device stop the tool, and both sides are told", async () => {
  await tool("Live figures");
  const person = await Person.at(live.demo);
  const strip = await person.sees(banner, oneRow);
  await person.clicks(strip, 25, strip.height / 2); // unfolds the list of rights
  const unfolded = await person.sees(banner, (b) => b.height > strip.height);
  await person.shot("diagnose-banner");
  await person.clicks(unfolded, 100, 25); // the last of them: diagnostics
  await live.page
    .getByText("Diagnostics was taken back at demo-desktop. Live figures has stopped.")
    .waitFor();
  await shot("diagnose-taken-back");
  await expectAccessible(live.page, "rights taken back");
  expect((await record()).granted).not.toContain("diagnostics");
  await person.sees(banner, (b) => b.height < unfolded.height);
  const time = live.page.getByTestId("vitals-time");
  const last = await time.textContent();
  await live.page.getByRole("button", { name: "Ask for diagnostics" }).waitFor();
  await noted(/tool_closed.*vitals/);
  expect(await time.textContent()).toBe(last);
  await live.page.getByRole("button", { name: "End session" }).click();
  await live.page.getByRole("button", { name: "End for everybody?" }).click();
  await live.page.getByRole("heading", { name: /ended/i }).waitFor();
});

test("a cut connection comes back, and so do the figures", async () => {
  await live.page.goto(`${live.demo.url}/devices/${live.device}`);
  await live.page.getByRole("button", { name: "Diagnose" }).click();
  await tool("Live figures");
  await live.page.getByTestId("vitals-time").waitFor();
  const opened = async () =>
    (await record()).timeline.filter((e) => e.kind === "tool_opened" && e.detail === "vitals").length;
  await expect.poll(opened).toBe(1);
  const [pid = 0] = await pidsOf(live.demo, "handrail-agent");
  process.kill(pid, "SIGKILL"); // every channel goes with it
  await expect.poll(opened).toBe(2);
  const time = live.page.getByTestId("vitals-time");
  const back = await time.textContent();
  await expect.poll(() => time.textContent()).not.toBe(back);
  expect((await record()).state).toBe("live");
});
