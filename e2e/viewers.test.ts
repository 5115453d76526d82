import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { expectAccessible, pictureColours } from "./browser.ts";
import { startXapp } from "./desktop.ts";
import { connect, type Live, openDevicePage } from "./live.ts";
import { eventually, type Program } from "./program.ts";
import { signIn } from "./stack.ts";

/** Two people look at one device; one of them is in control. */

let live: Live;
let app: Program;
let second: Page;

beforeAll(async () => {
  live = await openDevicePage();
  app = await startXapp(live.demo, "-mode", "flash");
  await connect(live.page);
  const other = await live.browser.newContext({ viewport: { width: 1280, height: 800 } });
  second = await other.newPage();
  await signIn(second, live.demo.url, live.cookie);
  await second.goto(live.page.url());
});

afterAll(async () => {
  await app?.stop();
  await live?.close();
});

const presses = () => app.said.match(/button_down/g)?.length ?? 0;

async function click(page: Page): Promise<void> {
  const box = await page.locator("video").boundingBox();
  if (!box) throw new Error("no video");
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
}

test("both see the picture", async () => {
  await expect.poll(() => pictureColours(live.page), { timeout: 45_000 }).toBeGreaterThan(0);
  await expect.poll(() => pictureColours(second), { timeout: 45_000 }).toBeGreaterThan(0);
});

test("only the one in control clicks", async () => {
  await click(live.page);
  await expect.poll(presses).toBe(1);
  await click(second);
  await click(live.page);
  await expect.poll(presses).toBe(2);
});

test("control is asked for and given", async () => {
  await second
    .getByRole("button", { name: /control/i })
    .first()
    .click();
  const give = live.page.getByRole("button", { name: /give|hand over/i }).first();
  await give.waitFor();
  await expectAccessible(live.page, "control asked for");
  await give.click();
  await expect
    .poll(
      async () => {
        const before = presses();
        await click(second);
        await second.waitForTimeout(300);
        return presses() - before;
      },
      { timeout: 45_000 },
    )
    .toBe(1);
  let before = -1;
  await eventually("no click on its way", async () => {
    const was = before;
    before = presses();
    await second.waitForTimeout(500);
    return was === before;
  });
  await click(live.page);
  await click(second);
  await expect.poll(presses).toBe(before + 1);
});
