import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { pidsOf, startXapp } from "./desktop.ts";
import { connect, type Live, openDevicePage, totals } from "./live.ts";
import { bin, eventually, Program } from "./program.ts";
import { api } from "./stack.ts";

/** Programs die in the middle of a session; the session does not. */

let live: Live;
let app: Program;
let replacement: Program | undefined;

beforeAll(async () => {
  live = await openDevicePage({ HANDRAIL_HELPER: "on" });
  app = await startXapp(live.demo, "-mode", "scroll", "-rate", "10");
  await connect(live.page);
});

afterAll(async () => {
  await app?.stop();
  live?.demo.program.child.kill("SIGCONT");
  await replacement?.stop();
  await live?.close();
});

const session = () => /ses_[0-9a-z]+/.exec(live.page.url())?.[0] as string;
const state = async () =>
  (await api<{ state: string }>(live.demo.url, live.cookie, "GET", `/api/sessions/${session()}`)).state;

/** Waits for more of the picture: how many frames a second there are is the machine's business. */
async function moves(): Promise<void> {
  let before = await totals(live.page);
  await eventually("more of the picture", async () => {
    const now = await totals(live.page);
    if (now.frames < before.frames) before = now; // another connection counts anew
    return now.frames > before.frames + 5;
  });
}

test("an agent killed in the middle comes back to the same session", async () => {
  await eventually("session live", async () => (await state()) === "live");
  const [pid = 0] = await pidsOf(live.demo, "handrail-agent", " run ");
  process.kill(pid, "SIGKILL");
  await eventually("another agent", async () => {
    const [next] = await pidsOf(live.demo, "handrail-agent", " run ");
    return next !== undefined && next !== pid;
  });
  await moves();
  expect(await state()).toBe("live");
});

test("a desktop helper killed in the middle comes back, and nobody else notices", async () => {
  const [daemon = 0] = await pidsOf(live.demo, "handrail-agent", " run ");
  const [pid = 0] = await pidsOf(live.demo, "handrail-agent", " desktop ");
  process.kill(pid, "SIGKILL");
  await eventually("another helper", async () => {
    const [next] = await pidsOf(live.demo, "handrail-agent", " desktop ");
    return next !== undefined && next !== pid;
  });
  await moves();
  expect(await state()).toBe("live");
  expect(await pidsOf(live.demo, "handrail-agent", " run ")).toEqual([daemon]);
});

test("a gateway killed in the middle leaves the picture alone, and finds the session again", async () => {
  const [pid = 0] = await pidsOf(live.demo, "handrail-gateway");
  live.demo.program.child.kill("SIGSTOP"); // the demo would end with its gateway
  process.kill(pid, "SIGKILL");
  await moves();
  await wait(3000);
  await moves();
  replacement = new Program([join(bin, "handrail-gateway"), "run", "--data", live.demo.data], {
    HANDRAIL_LISTEN: new URL(live.demo.url).host,
    HANDRAIL_TURN_LISTEN: "127.0.0.1:0",
  });
  await replacement.says(/https?:\/\//);
  await eventually("session live", async () => (await state()) === "live");
  await moves();
});
