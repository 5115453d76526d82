import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FarSession } from "./far.ts";
import { eventually } from "./program.ts";

/** The device is another host. Its cable is pulled for ten seconds; how soon it is back is a benchmark. */

let far: FarSession;

beforeAll(async () => {
  far = await FarSession.open();
});

afterAll(async () => {
  await far?.close();
});

test("ten seconds without a network, and the same session goes on", async () => {
  await far.cut(() => wait(10_000));
  expect(await far.state()).toBe("live");
});

test("the record names the loss and the return, and no second consent", async () => {
  const kinds = await eventually("viewer returned", async () => {
    const k = (await far.timeline()).map((e) => e.kind);
    return k.includes("viewer_returned") && k;
  });
  expect(kinds.filter((k) => /consent/.test(k)).length).toBeLessThanOrEqual(1);
});
