import { expect, test } from "vitest";
import { waitMs } from "./backoff.ts";
import type { Timing } from "./frames.ts";
import { causeOf, LatencyMeter } from "./latency.ts";

const timing = (rtp: number, inputSeq: number): Timing => ({
  rtp,
  inputSeq,
  captureUs: 1000,
  convertUs: 1000,
  encodeUs: 10_000,
  queueUs: 0,
  key: false,
  sharpen: false,
});
const shown = (rtp: number, displayMs: number) => ({
  rtp,
  receivedMs: displayMs - 15,
  decodeMs: 5,
  displayMs,
});
const direct = { rttMs: 4, relayed: false };

test("an input is matched with the first picture that was captured after it", () => {
  const m = new LatencyMeter();
  m.network(4);
  m.sent(5, 1000);
  m.timing(timing(90, 4));
  m.shown(shown(90, 1010)); // captured before
  m.shown(shown(180, 1040)); // here the picture comes before its timing
  m.timing(timing(180, 5));
  m.timing(timing(270, 5));
  m.shown(shown(270, 1080)); // nothing new was injected
  const r = m.report(1100, direct);
  expect(r.samples).toBe(1);
  expect(r.clickToPictureMs).toBe(40);
  expect(r.shares).toEqual({
    network: 4,
    capture: 2,
    encode: 10,
    queue: 0,
    decode: 5,
    display: 10,
    program: 9,
  });
  expect(r.cause).toBe("Quick: nothing stands out.");
});

test("an input without effect does not claim a picture much later", () => {
  const m = new LatencyMeter();
  m.sent(1, 0);
  m.timing(timing(90, 1));
  m.shown(shown(90, 30_000));
  expect(m.report(30_001, direct)).toMatchObject({ clickToPictureMs: null, samples: 0 });
});

test("without inputs the shares of the pictures are still known", () => {
  const m = new LatencyMeter();
  expect(m.report(0, direct).shares).toBeNull();
  m.timing(timing(90, 0));
  m.shown(shown(90, 10));
  expect(m.report(20, direct).shares?.encode).toBe(10);
});

test("measurements age", () => {
  const m = new LatencyMeter();
  m.sent(1, 0);
  m.timing(timing(90, 1));
  m.shown(shown(90, 40));
  expect(m.report(50, direct).samples).toBe(1);
  expect(m.report(61_000, direct).samples).toBe(0);
});

test("names the largest share and why it is large", () => {
  const none = { network: 0, program: 0, capture: 0, encode: 0, queue: 0, decode: 0, display: 0 };
  const relayed = { rttMs: 80, relayed: true };
  expect(causeOf({ ...none, network: 80 }, null, relayed)).toBe(
    "The network adds 80 ms: the connection runs over a relay.",
  );
  expect(causeOf({ ...none, network: 80 }, null, direct)).toMatch(/round trip/);
  expect(causeOf({ ...none, encode: 70, network: 10 }, null, direct)).toMatch(/Encoding adds 70 ms/);
  expect(causeOf({ ...none, queue: 200 }, null, direct)).toMatch(/carries less/);
});

test("waits double up to a limit, with jitter that halves them at most", () => {
  const b = { firstMs: 100, mostMs: 900 };
  expect([1, 2, 3, 4, 5, 60].map((n) => waitMs(b, n, 1))).toEqual([100, 200, 400, 800, 900, 900]);
  expect(waitMs(b, 3, 0)).toBe(200);
});
