import { rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible } from "./browser.ts";
import { asking, type Box, banner, oneRow, Person } from "./companion.ts";
import { pidsOf, startXapp } from "./desktop.ts";
import { clickDesktop, demoDevice, type Live, openDevicePage, totals } from "./live.ts";
import { bin, eventually, type Program, scratch } from "./program.ts";
import { api, type Demo, startDemo } from "./stack.ts";

/** The person at the device decides: their windows are clicked for real, the operator sees what came of it. */

let live: Live;
let app: Program;
let person: Person;
let companion: string;
let impatient: Demo | undefined;
let remove: () => Promise<void>;

/** Where the test program's window is on the device's desktop: beside the window that asks. */
const place = { x: 40, y: 620, w: 600, h: 400 };

beforeAll(async () => {
  const own = await scratch();
  remove = own.remove;
  companion = join(own.dir, "handrail-companion");
  await symlink(join(bin, "handrail-companion"), companion);
  live = await openDevicePage({ HANDRAIL_COMPANION: companion });
  type Device = { group_id: string };
  const { group_id } = await api<Device>(live.demo.url, live.cookie, "GET", `/api/devices/${live.device}`);
  await api(live.demo.url, live.cookie, "PATCH", `/api/groups/${group_id}`, {
    unattended: { enabled: false, capabilities: [] },
  });
  app = await startXapp(live.demo, ...Object.entries(place).flatMap(([k, v]) => [`-${k}`, String(v)]));
  person = await Person.at(live.demo);
  await live.page.reload();
});

afterAll(async () => {
  await app?.stop();
  await impatient?.stop();
  await live?.close();
  await remove?.();
});

const say = (words: RegExp) => live.page.getByRole("heading", { name: words });

/** Keeps a picture of the operator's page beside the person's. */
async function shot(name: string): Promise<void> {
  const dir = process.env.HANDRAIL_SHOTS;
  if (dir !== undefined) await live.page.screenshot({ path: join(dir, `${name}-page.png`) });
}

/** Asks by the button of that name, and returns the window that asks once it takes an answer. */
async function ask(button: string): Promise<Box> {
  await live.page.getByRole("button", { name: button, exact: true }).click();
  await say(/waiting for consent/i).waitFor();
  const window = await person.sees(asking);
  // Accept is grey at first, so that nobody agrees by a click meant for something else.
  await eventually("Accept in colour", async () => {
    const colour = await person.colour(window, ...accept(window, 60));
    return /^#1d5fd1|#5b9bff$/.test(colour);
  });
  return window;
}

// Where things are in the window that asks, from its right and lower edges.
const accept = (b: Box, aside = 0): [number, number] => [b.width / 4 - aside, 62];
const decline = (b: Box): [number, number] => [(b.width * 3) / 4, 62];
const controlSwitch: [number, number] = [68, 222];

type Session = { state: string; granted: string[]; timeline: { kind: string; actor: string }[] };

async function record(): Promise<Session> {
  const id = /ses_[0-9a-z]+/.exec(live.page.url())?.[0];
  return api<Session>(live.demo.url, live.cookie, "GET", `/api/sessions/${id}`);
}

const ends = (state: string) => eventually(state, async () => (await record()).state === state);

const presses = () => app.said.match(/button_down/g)?.length ?? 0;

/** Waits until what was on its way of the picture has come, and returns how many frames that made. */
async function framesAtRest(): Promise<number> {
  let last = -1;
  return eventually("a picture at rest", async () => {
    const { frames } = await totals(live.page);
    const rests = frames === last;
    last = frames;
    await wait(500);
    return rests && { frames };
  }).then((r) => r.frames);
}

/** The operator clicks in the middle of the test program. */
const operatorClicks = () => clickDesktop(live.page, place.x + place.w / 2, place.y + place.h / 2);

/** Waits until the picture comes and the operator's clicks arrive. */
async function inControl(): Promise<void> {
  await live.page.locator("video").waitFor();
  const before = presses();
  await eventually("a click that arrives", async () => {
    await operatorClicks();
    return presses() > before;
  });
}

test("declined: the operator is told in words", async () => {
  const window = await ask("Connect");
  await person.shot("asked");
  await shot("waiting");
  await expectAccessible(live.page, "waiting for consent");
  await person.clicks(window, ...decline(window));
  await say(/not|session/i).waitFor();
  await shot("declined");
  await say(/not accepted/i).waitFor();
  await shot("declined");
  await expectAccessible(live.page, "declined");
  await person.seesNo(asking);
  await ends("declined");
});

test("accepted: picture and input, and the banner stays", async () => {
  const window = await ask("Connect again");
  await person.clicks(window, ...accept(window));
  await inControl();
  await person.sees(banner);
  await person.shot("banner");
  expect((await record()).granted).toEqual(expect.arrayContaining(["view", "control"]));
});

test("Pause stops picture and input, Resume brings both back", async () => {
  const strip = await person.sees(banner, oneRow);
  await person.clicks(strip, 140, strip.height / 2);
  await say(/^paused$/i).waitFor();
  const paused = await person.sees(banner, (b) => b.width !== strip.width);
  await person.shot("paused");
  await shot("paused");
  await expectAccessible(live.page, "paused");
  const before = { presses: presses(), frames: await framesAtRest() };
  await operatorClicks();
  // A click of the person arrives, alone, and changes the screen, which nobody sees.
  await person.clicksAt(place.x + place.w / 2, place.y + place.h / 2);
  await expect.poll(presses).toBe(before.presses + 1);
  await wait(1000);
  expect((await totals(live.page)).frames).toBe(before.frames);
  expect(presses()).toBe(before.presses + 1);
  await person.clicks(paused, 140, paused.height / 2);
  await say(/^paused$/i).waitFor({ state: "detached" });
  await inControl();
  await expect
    .poll(async () => (await totals(live.page)).frames, { timeout: 45_000 })
    .toBeGreaterThan(before.frames);
});

test("Stop ends the session, the operator is told, the record names it", async () => {
  const strip = await person.sees(banner, oneRow);
  await person.clicks(strip, 75, strip.height / 2);
  await say(/ended/i).waitFor();
  await person.shot("stopped");
  await shot("stopped");
  await ends("ended");
  const kinds = (await record()).timeline.map((e) => e.kind);
  expect(kinds).toEqual(expect.arrayContaining(["paused", "resumed", "stopped"]));
  await person.seesNo(banner);
});

test("accepted without control: the operator looks, and clicks do nothing", async () => {
  const window = await ask("Connect again");
  await person.clicks(window, ...controlSwitch);
  await person.shot("switched");
  await person.clicks(window, ...accept(window));
  await eventually("frames", async () => (await totals(live.page)).frames > 0);
  expect((await record()).granted).not.toContain("control");
  const before = presses();
  await operatorClicks();
  await shot("view-only");
  // A click of the person arrives after it, alone.
  await person.clicksAt(place.x + place.w / 2, place.y + place.h / 2);
  await expect.poll(presses).toBe(before + 1);
  await live.page.getByRole("button", { name: "End session" }).click();
  await live.page.getByRole("button", { name: "End for everybody?" }).click();
  await ends("ended");
});

test("nobody can be asked: the operator is told so, and what to do", async () => {
  await rm(companion);
  const [pid = 0] = await pidsOf(live.demo, "handrail-companion");
  process.kill(pid, "SIGKILL");
  await live.page.getByRole("button", { name: "Connect again", exact: true }).click();
  await say(/nobody could be asked/i).waitFor();
  await shot("unavailable");
  await ends("declined");
});

test("silence is a refusal", async () => {
  await symlink(join(bin, "handrail-companion"), companion);
  await app.stop();
  await live.demo.program.stop("SIGINT");
  impatient = await startDemo(live.demo, { HANDRAIL_COMPANION: companion, HANDRAIL_ANSWER_WITHIN: "5s" });
  await demoDevice(impatient.url, live.cookie);
  person = await Person.at(impatient);
  await live.page.goto(`${impatient.url}/devices/${live.device}`);
  await ask("Connect");
  await say(/no answer/i).waitFor();
  await shot("timeout");
  await expectAccessible(live.page, "timed out");
  await person.seesNo(asking);
  await ends("expired");
});
