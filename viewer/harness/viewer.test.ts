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

/** Opens the page and waits until the picture is there and control is held. */
async function live(query = "", options: Parameters<Bench["open"]>[1] = {}): Promise<Page> {
  const page = await bench.open(query, options);
  await page.waitForFunction(() => lab.session.view.hasPicture && lab.session.view.monitors.length > 0);
  return page;
}

const inControl = (page: Page) =>
  page.waitForFunction(
    () => lab.session.view.peer !== null && lab.session.view.control === lab.session.view.peer,
  );

async function shot(page: Page, name: string): Promise<void> {
  if (shots !== undefined) await page.screenshot({ path: path.join(shots, `${name}.png`) });
}

/** Runs axe and returns what is serious, in short. */
async function serious(page: Page): Promise<string[]> {
  await page.evaluate(readFileSync(axeSource, "utf8"));
  return page.evaluate(async () => {
    const axe = (globalThis as unknown as { axe: { run(): Promise<{ violations: AxeViolation[] }> } }).axe;
    interface AxeViolation {
      readonly id: string;
      readonly impact: string;
      readonly nodes: readonly { readonly html: string }[];
    }
    const { violations } = await axe.run();
    return violations
      .filter((v) => v.impact === "serious" || v.impact === "critical")
      .map((v) => `${v.id}: ${v.nodes[0]?.html ?? ""}`);
  });
}

describe("input", () => {
  test("keys carry code and text, the mouse the place under it; nothing stays held", async () => {
    const page = await live();
    await inControl(page);
    const box = await page.locator("video").boundingBox();
    if (box === null) throw new Error("no picture");
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width + 300, box.y - 300, { steps: 4 });
    await page.mouse.up();
    await page.keyboard.type("Hé!");
    await page.keyboard.press("Control+c");
    await page.mouse.move(box.x + 10, box.y + 10);
    await page.mouse.wheel(0, 120);
    await page.mouse.click(box.x + 20, box.y + 20, { button: "right" });
    await page.waitForFunction(() => lab.agent.frames.filter((f) => f.type === "button").length === 4);
    const frames = await page.evaluate(() => lab.agent.frames);
    const buttons = frames.filter((f) => f.type === "button");
    expect(buttons[0]).toMatchObject({ button: 0, down: true, buttons: 1, monitor: 1 });
    expect(Math.abs((buttons[0]?.x ?? 0) - 32768)).toBeLessThan(2 * (65535 / 320));
    // The drag has left the view: its end is the picture's corner.
    expect(buttons[1]).toMatchObject({ button: 0, down: false, buttons: 0, x: 65535, y: 0 });
    expect(buttons[2]).toMatchObject({ button: 1, down: true, buttons: 2 });
    const downs = frames.filter((f) => f.type === "key_down").map((f) => `${f.code}/${f.mods} ${f.text}`);
    expect(downs).toEqual(["11/0 H", "30/0 !", "224/2 ", "6/2 "]);
    expect(frames.filter((f) => f.type === "text").map((f) => f.text)).toEqual(["é"]);
    expect(frames.filter((f) => f.type === "wheel")).toMatchObject([{ dx: 0, dy: 120 }]);
    const seqs = frames.filter((f) => f.channel === "control").map((f) => f.seq);
    expect(seqs).toEqual([...seqs].sort((a, b) => a - b));
    expect(new Set(frames.map((f) => f.seq)).size).toBe(frames.length);
  });

  test("an IME's commit and soft keyboards' words come as text", async () => {
    const page = await live();
    await inControl(page);
    await page.getByTestId("remote-screen").click();
    const client = await page.context().newCDPSession(page);
    await client.send("Input.imeSetComposition", { text: "にほ", selectionStart: 2, selectionEnd: 2 });
    await client.send("Input.insertText", { text: "日本" });
    await page.waitForFunction(() => lab.agent.frames.some((f) => f.type === "text"));
    const texts = await page.evaluate(() =>
      lab.agent.frames.filter((f) => f.type === "text").map((f) => f.text),
    );
    expect(texts).toEqual(["日本"]);
  });

  test("blur, a hidden tab and lost control let go of what is held", async () => {
    const page = await live();
    await inControl(page);
    await page.getByTestId("remote-screen").click();
    await page.keyboard.down("Shift");
    await page.waitForFunction(() =>
      lab.agent.frames.some((f) => f.type === "held" && f.codes?.[0] === 0xe1),
    );
    await page.evaluate(() => window.dispatchEvent(new Event("blur")));
    await page.waitForFunction(() => lab.agent.frames.at(-1)?.type === "release_all");
    await page.keyboard.up("Shift");
    await page.keyboard.down("a");
    await page.evaluate(() => lab.agent.grant({ control: "peer_other" }));
    await page.waitForFunction(() => lab.agent.frames.at(-1)?.type === "release_all");
    await page.keyboard.up("a");
    await page.keyboard.press("b");
    expect(await page.evaluate(() => lab.agent.frames.some((f) => f.text === "b"))).toBe(false);
  });

  test("view only sends nothing, and special keys go with their modifiers", async () => {
    const page = await live();
    await inControl(page);
    await page.getByRole("button", { name: "Send keys" }).click();
    await page.getByRole("menuitem", { name: "Ctrl+Alt+Del" }).click();
    await page.waitForFunction(() => lab.agent.frames.filter((f) => f.type === "key_up").length === 3);
    await page.getByRole("button", { name: "View only" }).click();
    const before = await page.evaluate(() => lab.agent.frames.length);
    await page.getByTestId("remote-screen").click();
    await page.keyboard.press("x");
    expect(await page.evaluate(() => lab.agent.frames.length)).toBe(before);
  });

  test("clipboard: a paste sends the text before its key; the device's text is copied here", async () => {
    const page = await live("", { permissions: ["clipboard-read", "clipboard-write"] });
    await inControl(page);
    await page.evaluate(() => navigator.clipboard.writeText("from here ✓"));
    await page.getByTestId("remote-screen").click();
    await page.keyboard.press("Control+v");
    await page.waitForFunction(() => lab.agent.frames.some((f) => f.type === "key_down" && f.code === 0x19));
    expect(await page.evaluate(() => lab.agent.clipboards)).toEqual(["from here ✓"]);
    await page.evaluate(() => lab.agent.copy("from there ✓"));
    await page.waitForFunction(async () => (await navigator.clipboard.readText()) === "from there ✓");
  });

  test("paste as keystrokes types the text", async () => {
    const page = await live();
    await inControl(page);
    await page.getByTestId("remote-screen").click();
    await page.keyboard.press("Control+Alt+Shift+v");
    await page.getByRole("textbox", { name: "Text to type" }).fill("ls -l\n");
    await shot(page, "paste");
    await page.getByRole("button", { name: "Type it" }).click();
    await page.waitForFunction(() => lab.agent.frames.some((f) => f.type === "text" && f.text === "ls -l\n"));
  });

  test("fingers: tap, drag, and the row of keys", async () => {
    const page = await live("", { viewport: { width: 390, height: 760 }, hasTouch: true, isMobile: true });
    await inControl(page);
    await shot(page, "phone");
    const box = await page.locator("video").boundingBox();
    if (box === null) throw new Error("no picture");
    await page.touchscreen.tap(box.x + box.width / 2, box.y + box.height / 2);
    await page.waitForFunction(() => lab.agent.frames.filter((f) => f.type === "button").length === 2);
    await page.getByRole("button", { name: "Ctrl", exact: true }).click();
    await page.getByRole("button", { name: "Left", exact: true }).click();
    await page.waitForFunction(() => lab.agent.frames.some((f) => f.type === "key_down" && f.code === 0x50));
    const left = await page.evaluate(() => lab.agent.frames.find((f) => f.code === 0x50));
    expect(left?.mods).toBe(2);
    const client = await page.context().newCDPSession(page);
    const two = (type: string, d: number) =>
      client.send("Input.dispatchTouchEvent", {
        type: type as "touchStart",
        touchPoints:
          type === "touchEnd"
            ? []
            : [
                { x: 195 - d, y: 300, id: 1 },
                { x: 195 + d, y: 300, id: 2 },
              ],
      });
    await two("touchStart", 40);
    for (let d = 50; d <= 120; d += 10) await two("touchMove", d);
    await two("touchEnd", 0);
    const wide = await page.locator("video").boundingBox();
    expect(wide?.width ?? 0).toBeGreaterThan(box.width * 1.8);
    await shot(page, "phone-zoomed");
    expect(await serious(page)).toEqual([]);
  });
});

describe("connection", () => {
  test("the picture survives the gateway, which is joined again as the same peer", async () => {
    const page = await live();
    const peer = await page.evaluate(() => lab.session.view.peer);
    await page.evaluate(() => lab.gateway.die());
    await page.getByText("The gateway cannot be reached").waitFor();
    await shot(page, "gateway-away");
    await page.evaluate(() => {
      lab.gateway.up = true;
      lab.gateway.got.length = 0;
    });
    await page.waitForFunction(() => lab.session.view.gateway, undefined, { timeout: 3000 });
    const join = await page.evaluate(() => lab.gateway.got.find((m) => m.type === "session.join")?.body);
    expect(join).toEqual({ session: "ses_test", peer });
    expect(await page.evaluate(() => [lab.agent.offers, lab.session.view.transport])).toEqual([
      1,
      "connected",
    ]);
  });

  test("an agent that has restarted gets a fresh connection in the same session", async () => {
    const page = await live();
    await page.evaluate(() => lab.agent.restart());
    await page.waitForFunction(
      () => lab.agent.offers > 1 && lab.session.view.transport === "connected",
      undefined,
      {
        timeout: 15_000,
      },
    );
    await inControl(page);
    await page.waitForFunction(() => lab.session.view.hasPicture);
    await page.getByTestId("remote-screen").click();
    await page.waitForFunction(() => lab.agent.frames.some((f) => f.type === "button"));
  });

  test("a dead socket that nobody noticed is replaced when an offer gets no answer", async () => {
    const page = await live();
    await inControl(page);
    await page.evaluate(() => {
      lab.gateway.mute = true;
      lab.agent.restart();
    });
    await page.getByText("Reconnecting", { exact: true }).waitFor();
    const control = page.getByRole("button", { name: /^In control/ }); // as it will be again
    expect(await control.isDisabled()).toBe(true);
    await shot(page, "reconnecting");
    await page.evaluate(() => {
      lab.gateway.mute = false;
      for (const s of [...lab.gateway.sockets]) lab.gateway.sockets.delete(s); // its end is never heard
    });
    await page.waitForFunction(() => lab.session.view.transport === "connected", undefined, {
      timeout: 15_000,
    });
  });

  test("ends with the session, and says why", async () => {
    const page = await live();
    await page.evaluate(() =>
      lab.gateway.change({ state: "ended", message: "The person at the device stopped it." }),
    );
    await page.getByRole("heading", { name: "Session ended" }).waitFor();
    await page.getByText("The person at the device stopped it.").first().waitFor();
    await page.getByRole("button", { name: "Connect again" }).click();
    expect(await page.evaluate(() => lab.calls)).toEqual(["again"]);
  });

  test("stopped at the device: closed first, and then the gateway says by whom", async () => {
    const page = await live();
    await page.evaluate(() => {
      const peer = lab.session.view.peer ?? "";
      lab.gateway.tell("peer.close", { session: "ses_test", peer, code: "ended", message: "It is over." });
    });
    await page.getByRole("heading", { name: "Session ended" }).waitFor();
    await page.getByText("It is over.").first().waitFor();
    await page.evaluate(() =>
      lab.gateway.change({ state: "ended", message: "stopped at the device", ended_by: "mia" }),
    );
    await page.getByText("Ended by mia: stopped at the device.").first().waitFor();
    await shot(page, "stopped");
  });
});

describe("rights", () => {
  test("waiting for consent counts down; the offer goes out with the consent", async () => {
    const page = await bench.open("?state=requested");
    await page.getByRole("heading", { name: "Waiting for consent" }).waitFor();
    await page
      .getByRole("timer")
      .filter({ hasText: /4[0-9] s/ })
      .waitFor();
    await shot(page, "waiting");
    expect(await serious(page)).toEqual([]);
    expect(await page.evaluate(() => lab.agent.offers)).toBe(0);
    await page.evaluate(() => lab.gateway.change({ state: "consented" }));
    await page.waitForFunction(() => lab.session.view.hasPicture);
  });

  test("declined says what to do next", async () => {
    const page = await bench.open("?state=requested");
    await page.getByRole("heading", { name: "Waiting for consent" }).waitFor();
    await page.evaluate(() =>
      lab.gateway.change({ state: "declined", message: "Dora declined.", ended_by: "dora" }),
    );
    await page.getByRole("heading", { name: "Not accepted" }).waitFor();
    await shot(page, "declined");
  });

  test("control is asked for, given and handed over", async () => {
    const page = await live("?other");
    await page.getByRole("button", { name: "Ask for control: Theo Technician has it" }).click();
    await page.getByRole("button", { name: "Asked for control: withdraw" }).waitFor();
    await page.waitForFunction(() => lab.agent.said.some((m) => m.type === "control.ask"));
    await page.evaluate(() => lab.agent.grant({ control: lab.session.view.peer ?? "" }));
    await page.getByRole("button", { name: "In control" }).waitFor();
    await page.evaluate(() =>
      lab.agent.say("control.asked", { peer: "peer_other", name: "Theo Technician" }),
    );
    await shot(page, "asked");
    await page.getByRole("button", { name: "Hand over" }).click();
    await page.waitForFunction(() => lab.agent.said.some((m) => m.type === "control.give"));
  });

  test("paused and no display are said over the picture", async () => {
    const page = await live();
    await page.evaluate(() => lab.agent.grant({ paused: true, may: [] }));
    await page.getByRole("heading", { name: "Paused" }).waitFor();
    await shot(page, "paused");
    await page.evaluate(() => {
      lab.agent.grant({ paused: false, may: ["view"] });
      lab.agent.say("picture", {
        state: "no_display",
        codec: "",
        width: 0,
        height: 0,
        message: "The X server is gone.",
      });
    });
    await page.getByRole("heading", { name: "No screen to show" }).waitFor();
    await page.getByText("The X server is gone.").first().waitFor();
  });
});

describe("page", () => {
  test("monitors, sizes, meter and help, by keyboard and for axe", async () => {
    const page = await live();
    await page.getByRole("button", { name: "Monitor" }).click();
    await page.getByRole("menuitemcheckbox", { name: /Right/ }).click();
    await page.waitForFunction(() => lab.agent.said.some((m) => m.type === "monitor.select"));
    await page.getByRole("button", { name: "Size of the picture" }).press("Enter");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    const box = await page.locator("video").boundingBox();
    expect(box?.width).toBe(await page.evaluate(() => document.querySelector("video")?.videoWidth));
    await page.getByRole("button", { name: /^Connection/ }).click();
    await page.getByText("Round trip").waitFor();
    await page.getByText(/VP8/).waitFor();
    await shot(page, "meter");
    expect(await serious(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Keyboard help" }).click();
    await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
    await shot(page, "help");
    expect(await serious(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
  });

  test("the quality is chosen by keyboard, told to the device, and kept for the next session", async () => {
    const page = await live();
    await inControl(page);
    await page.getByRole("button", { name: "Quality of the picture: automatic" }).press("Enter");
    await page.keyboard.press("ArrowDown");
    await shot(page, "quality");
    expect(await serious(page)).toEqual([]);
    await page.keyboard.press("Enter");
    const told = () =>
      page.evaluate(() => lab.agent.said.filter((m) => m.type === "picture.tier").map((m) => m.body));
    await expect.poll(told).toEqual([{ tier: "sharp" }]);
    await page.reload();
    await page.waitForFunction(() => lab.session.view.hasPicture);
    await expect.poll(told).toEqual([{ tier: "sharp" }]);
    await page.getByRole("button", { name: "Quality of the picture: sharp text first" }).click();
    await page.getByRole("menuitemcheckbox", { name: "Sharp text first", checked: true }).waitFor();
    await page.getByRole("menuitemcheckbox", { name: "Automatic" }).click();
    await expect.poll(told).toEqual([{ tier: "sharp" }, { tier: "auto" }]);
  });

  for (const scheme of ["light", "dark"] as const) {
    for (const [name, width, height] of [
      ["wide", 1280, 800],
      ["narrow", 390, 760],
    ] as const) {
      test(`has no serious findings, ${scheme} and ${name}`, async () => {
        const page = await live(`?scheme=${scheme}`, { viewport: { width, height }, colorScheme: scheme });
        await inControl(page);
        await page.mouse.move(width / 2, height / 2);
        await page.getByRole("button", { name: "Send keys" }).click();
        expect(await serious(page)).toEqual([]);
        await shot(page, `${name}-${scheme}`);
      });
    }
  }

  test("the device's cursor is the operator's own in control, and drawn otherwise", async () => {
    const page = await live();
    await inControl(page);
    const css = () =>
      page.evaluate(() => getComputedStyle(document.querySelector(".hv-view") as Element).cursor);
    await expect.poll(css).toMatch(/^url\("data:image\/png;base64/);
    await page.evaluate(() => lab.agent.cursorAt(32768, 32768));
    await page.evaluate(() => lab.agent.grant({ control: "peer_other" }));
    await page.locator("canvas.hv-cursor").waitFor();
    expect(await css()).toBe("default");
    const drawn = async () => {
      const c = await page.locator("canvas.hv-cursor").boundingBox();
      const v = await page.locator("video").boundingBox();
      return Math.round((((c?.x ?? 0) - (v?.x ?? 0)) / (v?.width ?? 1)) * 100);
    };
    await expect.poll(drawn).toBe(50);
  });

  test("a screenshot is the picture in its own size", async () => {
    const page = await live();
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Save a screenshot" }).click(),
    ]);
    expect(file.suggestedFilename()).toMatch(/^demo-desktop .*\.png$/);
    const png = readFileSync(await file.path());
    const width = await page.evaluate(() => document.querySelector("video")?.videoWidth);
    expect(png.readUInt32BE(16)).toBe(width);
  });
});
