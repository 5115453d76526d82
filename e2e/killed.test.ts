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
  live = await openDevicePage();
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

/** Frames the browser received over two seconds. */
async function framesNow(): Promise<number> {
  const before = await totals(live.page);
  await wait(2000);
  return (await totals(live.page)).frames - before.frames;
}

test("an agent killed in the middle comes back to the same session", async () => {
  await eventually("session live", async () => (await state()) === "live");
  const [pid = 0] = await pidsOf(live.demo, "handrail-agent");
  process.kill(pid, "SIGKILL");
  await eventually("another agent", async () => {
    const [next] = await pidsOf(live.demo, "handrail-agent");
    return next !== undefined && next !== pid;
  });
  await eventually("the picture again", async () => (await framesNow()) > 5, 40_000);
  expect(await state()).toBe("live");
});

test("a gateway killed in the middle leaves the picture alone, and finds the session again", async () => {
  const [pid = 0] = await pidsOf(live.demo, "handrail-gateway");
  live.demo.program.child.kill("SIGSTOP"); // the demo would end with its gateway
  process.kill(pid, "SIGKILL");
  expect(await framesNow()).toBeGreaterThan(5);
  await wait(3000);
  expect(await framesNow()).toBeGreaterThan(5);
  replacement = new Program([join(bin, "handrail-gateway"), "run", "--data", live.demo.data], {
    HANDRAIL_LISTEN: new URL(live.demo.url).host,
    HANDRAIL_TURN_LISTEN: "127.0.0.1:0",
  });
  await replacement.says(/https?:\/\//);
  await eventually("session live", async () => (await state()) === "live");
  expect(await framesNow()).toBeGreaterThan(5);
});
