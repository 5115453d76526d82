import { afterAll, beforeAll, expect, test } from "vitest";
import { type Bench, startBench } from "./browser.ts";

let bench: Bench;
beforeAll(async () => {
  bench = await startBench();
});
afterAll(async () => bench.close());

test("connects, shows the picture, sends keys and the mouse", async () => {
  const page = await bench.open();
  page.on("console", (m) => console.log("page:", m.text()));
  await page.waitForFunction(() => lab.session.view.hasPicture, undefined, { timeout: 10_000 });
  await page.getByTestId("remote-screen").click({ position: { x: 400, y: 300 } });
  await page.keyboard.type("Hi!");
  await page.waitForFunction(() => lab.agent.frames.some((f) => f.type === "key_down" && f.text === "!"));
  const frames = await page.evaluate(() => lab.agent.frames);
  console.log(
    JSON.stringify(frames.filter((f) => f.type !== "held")),
    await page.evaluate(() => lab.session.firstPictureMs),
  );
  await page.screenshot({ path: "/tmp/hr-viewer-1.png" });
  expect(frames.filter((f) => f.type === "button")).toHaveLength(2);
});
