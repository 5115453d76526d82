import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { expectAccessible } from "./browser.ts";
import { asking, banner, oneRow, Person } from "./companion.ts";
import { type Live, openDevicePage } from "./live.ts";
import { eventually, scratch } from "./program.ts";
import { api } from "./stack.ts";

/** Terminals of a real device in a real browser, with the programs people use in them. */

let live: Live;
/** Sessions that the next test ends. */
const open: string[] = [];
let page: Page;
let dir: string;
let remove: () => Promise<void>;

const everything = ["view", "control", "terminal", "root"];

/** What the agent can be without more rights: as root it has no desktop's user to be. */
const asRoot = process.getuid?.() === 0;

beforeAll(async () => {
  ({ dir, remove } = await scratch());
  live = await openDevicePage();
  await allow(everything);
});

afterAll(async () => {
  await live?.close();
  await remove?.();
});

beforeEach(async () => {
  await page?.close();
  for (const id of open.splice(0)) {
    await api(live.demo.url, live.cookie, "POST", `/api/sessions/${id}/end`, { reason: "" });
  }
  page = await live.context.newPage();
});

/** Has the device grant so much without asking. */
async function allow(capabilities: readonly string[]): Promise<void> {
  type Device = { group_id: string };
  const { group_id } = await api<Device>(live.demo.url, live.cookie, "GET", `/api/devices/${live.device}`);
  await api(live.demo.url, live.cookie, "PATCH", `/api/groups/${group_id}`, {
    unattended: { enabled: true, capabilities },
  });
}

/** Begins a session and opens its page with the terminal's pane; returns the session's id. */
async function session(capabilities = everything): Promise<string> {
  const { id } = await api<{ id: string }>(live.demo.url, live.cookie, "POST", "/api/sessions", {
    device_id: live.device,
    reason: "",
    capabilities,
  });
  open.push(id);
  await page.goto(`${live.demo.url}/sessions/${id}/live?tool=terminal`);
  return id;
}

const tabs = () => page.getByRole("list", { name: "Terminals" }).getByRole("listitem");

/** Opens a terminal, and has a plain shell in it that nobody's habits change. */
async function newTerminal(): Promise<void> {
  const before = await tabs().count();
  const opens = asRoot || before > 0;
  if (opens)
    await page.getByRole("button", { name: asRoot ? "New as administrator" : "New", exact: true }).click();
  await eventually("a tab for it", async () => (await tabs().count()) > (opens ? before : 0));
  await prompt();
  await types("PS1='re''ady> ' HISTFILE= exec sh");
  await shows(/ready>$/);
}

/**
 * Waits for the shell's first prompt. What an account runs at sign-in is its own and may take a minute (pyenv
 * waits so long for the lock of a shell that was killed): then it is interrupted, as a person would.
 */
async function prompt(): Promise<void> {
  const since = Date.now();
  await eventually("a prompt", async () => {
    if (/[#$]$/.test(await screen())) return true;
    if (Date.now() - since > 10_000) await page.keyboard.press("Control+C");
    return false;
  });
}

/** What the terminal that is looked at shows, a line each. */
async function screen(): Promise<string> {
  const lines = await page.locator(".hv-term:not([hidden]) .xterm-rows > div").allInnerTexts();
  return lines
    .map((l) => l.replaceAll("\u00a0", " ").trimEnd())
    .join("\n")
    .trimEnd();
}

async function shows(words: RegExp): Promise<void> {
  try {
    await eventually(`${words} in the terminal`, async () => words.test(await screen()));
  } catch (e) {
    throw new Error(`${e}: it shows\n${await screen()}`);
  }
}

/** Types into the terminal that is looked at. */
async function types(text: string, enter = true): Promise<void> {
  await page.locator(".hv-term:not([hidden]) textarea").focus();
  await page.keyboard.type(text);
  if (enter) await page.keyboard.press("Enter");
}

async function shot(name: string): Promise<void> {
  const to = process.env.HANDRAIL_SHOTS;
  if (to !== undefined) await page.screenshot({ path: join(to, `terminal-${name}.png`) });
}

/** What the record of a session says of its terminals. */
async function record(id: string): Promise<string> {
  type Entries = { timeline: { detail: string }[] };
  const { timeline } = await api<Entries>(live.demo.url, live.cookie, "GET", `/api/sessions/${id}`);
  return timeline.map((e) => e.detail).join("\n");
}

test("types, and real programs work: vim edits a file, less pages, top runs", async () => {
  const id = await session();
  await newTerminal();
  await types("echo a$((40+2))b");
  await shows(/^a42b$/m);
  await shot("typed");

  const file = join(dir, "notes.txt");
  await types(`vim -u NONE -N ${file}`);
  await shows(/^~$/m);
  await types("i", false);
  await page.keyboard.type("Grüße 日本 from vim");
  await page.keyboard.press("Enter");
  await page.keyboard.type("second line");
  await page.keyboard.press("Escape");
  await shows(/^Grüße 日本 from vim$/m);
  await shot("vim");
  await types(":wq");
  await eventually("the file that vim wrote", async () => {
    const text = await readFile(file, "utf8").catch(() => "");
    return text === "Grüße 日本 from vim\nsecond line\n";
  });
  await shows(/ready>$/);

  await writeFile(join(dir, "long"), Array.from({ length: 500 }, (_, n) => `line ${n + 1}\n`).join(""));
  await types(`less ${join(dir, "long")}`);
  await shows(/^line 1$/m);
  await page.keyboard.press("G");
  await shows(/^line 500$/m);
  await page.keyboard.press("q");
  await shows(/ready>$/);
  await types("top");
  await shows(/PID\s+USER/);
  await page.keyboard.press("q");
  await shows(/ready>$/);
  await expectAccessible(page, "a session with a terminal");

  await types("exit");
  await eventually("the tab to go with its shell", async () => (await tabs().count()) === 0);
  await eventually("the record", async () => /terminal: opened a terminal as /.test(await record(id)));
});

test("programs and screens survive a lost connection and a page that is loaded again; two at once", async () => {
  await session();
  await newTerminal();
  await types('i=0; while read -r x; do i=$((i+1)); echo "got $i <$x>"; done');
  await types("one");
  await shows(/^got 1 <one>$/m);
  await newTerminal();
  expect(await tabs().count()).toBe(2);
  await types("echo this is the second");
  await shows(/^this is the second$/m);

  // The page's connections end without a word to the device.
  await page.evaluate(() => {
    for (const p of window.handrailPeers) p.close();
  });
  await page.reload();
  await eventually("both tabs again", async () => (await tabs().count()) === 2);
  await tabs().first().getByRole("button").first().click();
  await shows(/^got 1 <one>$/m);
  await types("two");
  await shows(/^got 2 <two>$/m);
  await tabs().last().getByRole("button").first().click();
  await shows(/^this is the second$/m);
  await shot("two");
  await page.getByRole("button", { name: /^End the terminal .*2/ }).click();
  await eventually("one tab", async () => (await tabs().count()) === 1);
  await shows(/^got 2 <two>$/m);
});

test("a program is told the size of the page, and search finds what was shown", async () => {
  await session();
  await newTerminal();
  await types("stty size");
  await shows(/^\d+ \d+$/m);
  const before = /^(\d+) (\d+)$/m.exec(await screen())?.[0];
  await page.getByRole("button", { name: "Larger letters" }).click();
  await page.getByRole("button", { name: "Larger letters" }).click();
  await eventually("another size", async () => {
    await types("clear; stty size");
    await shows(/^\d+ \d+$/m);
    return /^(\d+) (\d+)$/m.exec(await screen())?.[0] !== before;
  });
  await types("seq 1 3000");
  await shows(/^3000$/m);
  await page.keyboard.press("Control+Shift+F");
  await page.getByRole("textbox", { name: "Search in the terminal" }).fill("1234");
  await page.getByText("1 of 1", { exact: true }).waitFor();
  await shows(/^1234$/m);
  await shot("search");
});

test("many lines are looked at before they are pasted, links before they are opened, and escapes are harmless", async () => {
  await session();
  await newTerminal();
  const paste = (text: string) =>
    page.locator(".hv-term:not([hidden]) textarea").evaluate((el, t) => {
      const data = new DataTransfer();
      data.setData("text/plain", t);
      el.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    }, text);
  await paste("echo plain-$((1+1))");
  await shows(/echo plain-\$\(\(1\+1\)\)$/m);
  await page.keyboard.press("Enter");
  await shows(/^plain-2$/m);
  await paste("echo first-$((1+1))\necho second-$((2+2))\u001b\n");
  const dialog = page.getByRole("dialog", { name: "Paste these 2 lines?" });
  await dialog.waitFor();
  await dialog.getByText("1 hidden character was taken out.").waitFor();
  await shot("paste");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await paste("echo first-$((1+1))\necho second-$((2+2))\n");
  await dialog.getByRole("button", { name: "Paste", exact: true }).click();
  await shows(/^first-2$/m);
  await shows(/second-4$/m);
  expect((await screen()).match(/first-2/g)).toHaveLength(1);

  await types("clear; echo http://127.0.0.1:9/x");
  await shows(/^http:\/\/127/m);
  const row = page.locator(".hv-term:not([hidden]) .xterm-rows > div", { hasText: /^http:\/\/127/ });
  const at = await row.boundingBox();
  if (at === null) throw new Error("no row");
  await page.mouse.move(at.x + 30, at.y + at.height / 2);
  await page.mouse.move(at.x + 40, at.y + at.height / 2);
  await page.locator(".xterm-cursor-pointer").waitFor(); // the link is found
  await page.mouse.click(at.x + 40, at.y + at.height / 2);
  const link = page.getByRole("dialog", { name: "Open this address?" });
  await link.waitFor();
  const anchor = link.getByRole("link", { name: "Open" });
  expect([await anchor.getAttribute("href"), await anchor.getAttribute("rel")]).toEqual([
    "http://127.0.0.1:9/x",
    "noopener noreferrer",
  ]);
  await link.getByRole("button", { name: "Cancel" }).click();

  const title = await page.title();
  await types(
    "printf '\\033]2;owned\\007\\033]52;c;b3duZWQ=\\007\\033[8;2;2t\\033[?1049h\\033c'; head -c 2000000 /dev/urandom; printf '\\033c'; echo still-$((3+4))",
  );
  await shows(/^still-7$/m);
  expect(await page.title()).toBe(title);
});

test("a pause by the person at the device ends the terminal at once, and what runs in it is there again afterwards; the session's end ends it", async () => {
  const id = await session();
  await newTerminal();
  const file = join(dir, "alive");
  await types(`echo before; while :; do date +%s%N > ${file}; sleep 0.05; done`);
  await shows(/^before$/m);
  const person = await Person.at(live.demo);
  await person.seesNo(asking);
  const strip = await person.sees(banner, oneRow);
  await person.clicks(strip, 140, strip.height / 2);
  await page.getByText("has paused the session; Terminal rests.").waitFor();
  await types("unheard");
  const paused = await person.sees(banner, (b) => b.width !== strip.width);
  await shot("paused");
  await person.clicks(paused, 140, paused.height / 2);
  await page.getByText("has paused the session; Terminal rests.").waitFor({ state: "detached" });
  await shows(/^before$/m);
  // Keys are heard again once the terminal is there again, which looks the same.
  await eventually("the prompt after Ctrl-C", async () => {
    await page.keyboard.press("Control+C");
    await wait(200);
    return /ready>$/.test(await screen());
  });
  expect(await screen()).not.toContain("unheard");

  await types(`while :; do date +%s%N > ${file}; sleep 0.05; done`);
  const stamp = () => readFile(file, "utf8");
  const last = await stamp();
  await eventually("the program", async () => (await stamp()) > last);
  await api(live.demo.url, live.cookie, "POST", `/api/sessions/${id}/end`, { reason: "" });
  open.pop();
  await page.getByRole("heading", { name: /over|ended/i }).waitFor();
  await eventually("the end of the program", async () => {
    const a = await stamp();
    await wait(500); // ten of its rounds
    return a === (await stamp());
  });
});

test("without the right there is no terminal, and without root no administrator's", async () => {
  await session(["view"]);
  await page
    .getByText(/needs the terminal|not granted/i)
    .first()
    .waitFor();
  await session(["view", "terminal"]);
  const ask = page.getByRole("button", { name: /administrator/ });
  await ask.waitFor();
  if (asRoot) await page.getByText("Nobody is signed in at this device").waitFor();
  await ask.click();
  await page.getByRole("button", { name: "New as administrator" }).waitFor();
});
