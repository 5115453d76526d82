import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Download, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { expectAccessible } from "./browser.ts";
import { banner, oneRow, Person } from "./companion.ts";
import { pidsOf } from "./desktop.ts";
import { demoDevice, type Live, openDevicePage } from "./live.ts";
import { eventually, scratch } from "./program.ts";
import { api } from "./stack.ts";

/** The files of a real device in a real browser: looked at, changed, sent and fetched. */

let live: Live;
let page: Page;
let dir: string;
let remove: () => Promise<void>;
let session: string;

/** As root the agent has no person whose rights could hold. */
const asRoot = process.getuid?.() === 0;
const rights = ["view", "control", "files", ...(asRoot ? ["root"] : [])];

beforeAll(async () => {
  ({ dir, remove } = await scratch());
  live = await openDevicePage();
  // Headless browsers have nobody to choose where a download goes.
  await live.context.addInitScript(() => {
    delete (window as { showSaveFilePicker?: unknown }).showSaveFilePicker;
  });
});

afterAll(async () => {
  await live?.close();
  await remove?.();
});

beforeEach(async () => {
  await allow(rights);
  await page?.close();
  page = await live.context.newPage();
  const answer = await api<{ id: string }>(live.demo.url, live.cookie, "POST", "/api/sessions", {
    device_id: live.device,
    reason: "",
    capabilities: rights,
  });
  session = answer.id;
  await page.goto(`${live.demo.url}/sessions/${session}/live?tool=files`);
  if (asRoot) await page.getByRole("button", { name: "Open as administrator" }).click();
  await page.getByRole("grid").waitFor();
});

afterEach(async () => {
  await endSession().catch(() => undefined); // one test ends its own
});

const endSession = () => api(live.demo.url, live.cookie, "POST", `/api/sessions/${session}/end`, {});

/** Has the device grant so much without asking. */
async function allow(capabilities: readonly string[]): Promise<void> {
  type Device = { group_id: string };
  const { group_id } = await api<Device>(live.demo.url, live.cookie, "GET", `/api/devices/${live.device}`);
  await api(live.demo.url, live.cookie, "PATCH", `/api/groups/${group_id}`, {
    unattended: { enabled: true, capabilities },
  });
}

/** Makes a folder of this test's own on the device and goes there, from the root, by double clicks. */
async function folder(name: string): Promise<string> {
  const path = join(dir, name);
  await mkdir(path, { recursive: true });
  await page
    .getByRole("navigation", { name: /^Folder/ })
    .getByRole("button", { name: "/", exact: true })
    .click();
  for (const part of path.split("/").filter((p) => p !== "")) {
    await page.getByRole("searchbox").fill(part);
    await page.getByRole("searchbox").press("Enter");
    await row(part).dblclick();
    await page
      .getByRole("navigation", { name: /^Folder/ })
      .getByRole("button", { name: part, exact: true })
      .waitFor();
    await page.getByRole("searchbox").fill("");
  }
  return path;
}

const row = (name: string) =>
  page
    .getByRole("row")
    .filter({ has: page.getByText(name, { exact: true }) })
    .first();
const button = (name: string) => page.getByRole("button", { name, exact: true });
const transfer = (name: string) =>
  page.getByRole("region", { name: "Transfers" }).getByRole("listitem").filter({ hasText: name });

async function upload(...files: { name: string; mimeType: string; buffer: Buffer }[]): Promise<void> {
  await page.getByLabel("Files to upload").setInputFiles(files);
}

const file = (name: string, content: Buffer | string) => ({
  name,
  mimeType: "application/octet-stream",
  buffer: Buffer.from(content),
});

async function sumOf(path: string): Promise<string> {
  const sum = createHash("sha256");
  for await (const piece of createReadStream(path)) sum.update(piece as Buffer);
  return sum.digest("hex");
}

/** What the session's record says of its files. */
async function record(): Promise<string> {
  type Entries = { timeline: { detail: string }[] };
  const { timeline } = await api<Entries>(live.demo.url, live.cookie, "GET", `/api/sessions/${session}`);
  return timeline.map((e) => e.detail).join("\n");
}

const recorded = (words: string) =>
  eventually(`“${words}” in the record`, async () => (await record()).includes(words));

async function shot(name: string): Promise<void> {
  const to = process.env.HANDRAIL_SHOTS;
  if (to !== undefined) await page.screenshot({ path: join(to, `files-${name}.png`) });
}

test("a file goes up and comes down again, the same to the last bit", async () => {
  const path = await folder("updown");
  const content = randomBytes(6_000_001);
  await upload(file("photo of Grüße.bin", content));
  await transfer("photo of Grüße.bin").getByText(/^Done/).waitFor();
  const sum = await sumOf(join(path, "photo of Grüße.bin"));
  expect(sum).toBe(createHash("sha256").update(content).digest("hex"));
  expect(await readdir(path)).toEqual(["photo of Grüße.bin"]);
  await row("photo of Grüße.bin").click();
  const [download] = await Promise.all([page.waitForEvent("download"), button("Download").click()]);
  expect(await sumOf(await saved(download))).toBe(sum);
  await shot("transfers");
  await expectAccessible(page, "files with transfers");
  await recorded(`SHA-256 ${sum}`);
  await recorded("downloaded “");
});

async function saved(download: Download): Promise<string> {
  const to = join(dir, `saved-${download.suggestedFilename()}`);
  await download.saveAs(to);
  return to;
}

test("an upload that is cut goes on where it was, and arrives whole", async () => {
  const path = await folder("cut");
  const source = join(dir, "large.bin");
  const piece = randomBytes(1 << 20);
  const size = 160;
  await writeFile(
    source,
    Buffer.concat(Array.from({ length: size }, (_, i) => Buffer.concat([Buffer.of(i), piece.subarray(1)]))),
  );
  await page.getByLabel("Files to upload").setInputFiles(source);
  const part = await eventually("a good part of it", async () => {
    const name = (await readdir(path)).find((n) => n.endsWith(".part"));
    return name !== undefined && (await stat(join(path, name))).size > 20 << 20 && name;
  });
  const [agent = 0] = await pidsOf(live.demo, "handrail-agent");
  process.kill(agent, "SIGKILL"); // the demo starts another
  const before = (await stat(join(path, part))).size;
  await demoDevice(live.demo.url, live.cookie);
  await transfer("large.bin").getByText(/^Done/).waitFor({ timeout: 180_000 });
  expect(await sumOf(join(path, "large.bin"))).toBe(await sumOf(source));
  expect(await readdir(path)).toEqual(["large.bin"]);
  expect(before).toBeGreaterThan(20 << 20);
  await recorded("resumed at ");
});

test("folders are made, things renamed, permitted and deleted; odd names are harmless", async () => {
  const path = await folder("change");
  await writeFile(join(path, "old.txt"), "old");
  await writeFile(join(path, "two\nlines\u202etxt.exe"), "odd");
  await button("Refresh").click();
  await row("two\\x0alines\\u202etxt.exe").waitFor();
  await button("New folder").click();
  await page.getByRole("textbox", { name: "Name" }).fill("fresh");
  await button("Make").click();
  await row("fresh").waitFor();
  await row("old.txt").click();
  await page.keyboard.press("F2");
  await page.getByRole("textbox", { name: "Name" }).fill("new.txt");
  await page.keyboard.press("Enter");
  await row("new.txt").waitFor();
  await row("new.txt").click();
  await button("Permissions").click();
  await page.getByRole("checkbox", { name: "Others: read" }).uncheck();
  await page.getByRole("checkbox", { name: "Group: read" }).uncheck();
  await shot("permissions");
  await expectAccessible(page, "permissions");
  await button("Set").click();
  await eventually(
    "the new permissions",
    async () => ((await stat(join(path, "new.txt"))).mode & 0o777) === 0o600,
  );
  await row("two\\x0alines\\u202etxt.exe").click();
  await row("new.txt").click({ modifiers: ["Control"] });
  await page.getByRole("grid").press("Delete");
  await shot("delete");
  await button("Delete for good").click();
  await row("new.txt").waitFor({ state: "detached" });
  expect(await readdir(path)).toEqual(["fresh"]);
  await recorded("set permissions 0600 of “");
  await recorded("deleted “");
});

test("a text is changed in place, and not over somebody else's change", async () => {
  const path = await folder("edit");
  const notes = join(path, "notes.txt");
  await writeFile(notes, "first\r\nsecond\r\n", { mode: 0o640 });
  await button("Refresh").click();
  await row("notes.txt").dblclick();
  const text = page.getByRole("textbox", { name: "Content of notes.txt" });
  expect(await text.inputValue()).toBe("first\nsecond\n");
  await shot("edit");
  await expectAccessible(page, "a text");
  await text.fill("first\nchanged\n");
  await button("Save").click();
  await text.waitFor({ state: "detached" });
  expect(await readFile(notes, "utf8")).toBe("first\r\nchanged\r\n");
  expect((await stat(notes)).mode & 0o777).toBe(0o640);
  await row("notes.txt").dblclick();
  await text.fill("mine\n");
  await writeFile(notes, "theirs\n");
  await button("Save").click();
  await page.getByText(/changed since it was opened/).waitFor();
  expect(await readFile(notes, "utf8")).toBe("theirs\n");
  await recorded("edited “");
});

test("what is there already is asked about", async () => {
  const path = await folder("conflict");
  await writeFile(join(path, "a.txt"), "theirs");
  await upload(file("a.txt", "mine"));
  await shot("conflict");
  await expectAccessible(page, "a conflict");
  await button("Keep both").click();
  await transfer("a.txt").getByText(/^Done/).waitFor();
  expect((await readdir(path)).sort()).toEqual(["a (2).txt", "a.txt"]);
  expect(await readFile(join(path, "a.txt"), "utf8")).toBe("theirs");
  expect(await readFile(join(path, "a (2).txt"), "utf8")).toBe("mine");
});

test("a folder comes as an archive, and a folder goes up", async () => {
  const path = await folder("folders");
  const own = join(dir, "mine");
  await mkdir(join(own, "sub"), { recursive: true });
  await writeFile(join(own, "a"), "a");
  await writeFile(join(own, "sub", "b"), "b");
  await page.getByLabel("Folder to upload").setInputFiles(own);
  await transfer("mine").getByText(/^Done/).waitFor();
  expect(await readFile(join(path, "mine", "sub", "b"), "utf8")).toBe("b");
  await row("mine").click();
  const [download] = await Promise.all([page.waitForEvent("download"), button("Download").click()]);
  expect(download.suggestedFilename()).toBe("mine.zip");
  const archive = await readFile(await saved(download));
  expect(archive.includes("mine/sub/b")).toBe(true);
});

test("a folder of this computer stands beside the device's, and files go both ways", async () => {
  const path = await folder("beside");
  await writeFile(join(path, "theirs.txt"), "theirs");
  await page.evaluate(async () => {
    // Nobody is there to choose a folder: one of the browser's own stands for it.
    const own = await (await navigator.storage.getDirectory()).getDirectoryHandle("mine", { create: true });
    (window as { showDirectoryPicker?: unknown }).showDirectoryPicker = async () => own;
    const out = await (await own.getFileHandle("mine.txt", { create: true })).createWritable();
    await out.write("mine");
    await out.close();
  });
  await page.getByRole("combobox", { name: "Beside it" }).selectOption("computer");
  await button("Choose a folder").click();
  await page.getByRole("grid", { name: "Files of this computer" }).getByText("mine.txt").click();
  await button("Send to the device").click();
  await transfer("mine.txt").getByText(/^Done/).waitFor();
  expect(await readFile(join(path, "mine.txt"), "utf8")).toBe("mine");
  await row("theirs.txt").click();
  await button("Download").click();
  await page.getByRole("grid", { name: "Files of this computer" }).getByText("theirs.txt").waitFor();
  await transfer("theirs.txt").getByText(/^Done/).waitFor();
  await shot("beside");
  await expectAccessible(page, "two folders");
  const fetched = await page.evaluate(async () => {
    const own = await (await navigator.storage.getDirectory()).getDirectoryHandle("mine");
    return (await (await own.getFileHandle("theirs.txt")).getFile()).text();
  });
  expect(fetched).toBe("theirs");
});

test("what is dropped onto the picture goes to the device", async () => {
  const transferred = await page.evaluateHandle(() => {
    const d = new DataTransfer();
    d.items.add(new File(["dropped onto the picture"], "handrail-dropped.txt", { type: "text/plain" }));
    return d;
  });
  const stage = page.getByTestId("remote-screen");
  await stage.dispatchEvent("dragover", { dataTransfer: transferred });
  await page.getByText(/^Drop files here/).waitFor();
  await shot("drop");
  await stage.dispatchEvent("drop", { dataTransfer: transferred });
  const done = transfer("handrail-dropped.txt");
  await done.getByText(/^Done/).waitFor();
  const place = /to (\/\S*)/.exec(await done.innerText())?.[1] ?? "";
  expect(await readFile(join(place, "handrail-dropped.txt"), "utf8")).toBe("dropped onto the picture");
  await rm(join(place, "handrail-dropped.txt"));
});

test("what the person at the device pauses stops at once, and goes on when it may", async () => {
  const path = await folder("paused");
  const source = join(dir, "paused.bin");
  await writeFile(source, Buffer.alloc(300 << 20, 7));
  const person = await Person.at(live.demo);
  const strip = await person.sees(banner, oneRow);
  await page.getByLabel("Files to upload").setInputFiles(source);
  await eventually("a part of it", async () => (await readdir(path)).some((n) => n.endsWith(".part")));
  await person.clicks(strip, 140, strip.height / 2);
  await transfer("paused.bin")
    .getByText(/^Paused/)
    .waitFor();
  await shot("paused");
  const paused = await person.sees(banner, (b) => b.width !== strip.width);
  expect(await readdir(path)).not.toContain("paused.bin");
  await person.clicks(paused, 140, paused.height / 2);
  await person.sees(banner, (b) => b.width === strip.width);
  await button("Resume: paused.bin").click();
  await transfer("paused.bin").getByText(/^Done/).waitFor();
  expect(await sumOf(join(path, "paused.bin"))).toBe(await sumOf(source));
});

test("a session that is ended stops a transfer at once, and what has come is kept", async () => {
  const path = await folder("taken");
  const source = join(dir, "slow.bin");
  await writeFile(source, Buffer.alloc(400 << 20));
  await page.getByLabel("Files to upload").setInputFiles(source);
  await eventually("a part of it", async () => (await readdir(path)).some((n) => n.endsWith(".part")));
  await api(live.demo.url, live.cookie, "POST", `/api/sessions/${session}/end`, {});
  await page
    .getByText(/ended|over/i)
    .first()
    .waitFor();
  const part = join(path, (await readdir(path))[0] ?? "");
  const size = (await stat(part)).size;
  expect(part.endsWith(".part")).toBe(true);
  expect(size).toBeLessThan(400 << 20);
  await recorded("stopped");
});
