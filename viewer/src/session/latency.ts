/**
 * Click to picture: how long it takes from an input to the picture that shows its effect, and
 * where the time goes. Pure arithmetic over times the caller measured; milliseconds everywhere,
 * on the page's own clock.
 */
import type { Timing } from "./frames.ts";

/** What the browser tells of a picture when it is put on the screen. */
export interface Shown {
  /** RTP timestamp, to find the Timing frame of the same picture. */
  readonly rtp: number;
  /** When its last packet arrived; null when the browser does not say. */
  readonly receivedMs: number | null;
  /** What decoding took; null when the browser does not say. */
  readonly decodeMs: number | null;
  /** When it is expected to be seen. */
  readonly displayMs: number;
}

/** Where the time of a click to picture went, in milliseconds. */
export interface Shares {
  /** A round trip: the input's way there and the picture's way back. */
  readonly network: number;
  /** What the program on the device took to react, and anything nobody else accounts for. */
  readonly program: number;
  /** Grabbing the screen and converting its colours. */
  readonly capture: number;
  readonly encode: number;
  /** Waiting to be sent. */
  readonly queue: number;
  readonly decode: number;
  /** From decoded to seen. */
  readonly display: number;
}

/** The state of the measurement. */
export interface LatencyReport {
  /** Median over the recent inputs; null before the first. */
  readonly clickToPictureMs: number | null;
  /** How many inputs the median is over. */
  readonly samples: number;
  /** Medians of the same inputs; of the recent pictures before the first. */
  readonly shares: Shares | null;
  /** The largest share in a sentence. */
  readonly cause: string;
}

/** How the connection runs, for the words. */
export interface Route {
  readonly rttMs: number | null;
  readonly relayed: boolean | null;
}

/** Inputs that changed nothing within this time did not cause the next picture. */
const longestProgramMs = 1500;
/** Samples older than this say nothing about now. */
const windowMs = 60_000;
const mostSamples = 24;
const mostPending = 256;

interface Sample {
  readonly atMs: number;
  readonly totalMs: number | null; // null: a picture nobody's input caused
  readonly shares: Shares;
}

/** Matches inputs with pictures. Not for concurrent use; holds a bounded number of entries. */
export class LatencyMeter {
  readonly #sent = new Map<number, number>();
  readonly #timings = new Map<number, Timing>();
  readonly #shown = new Map<number, Shown>();
  #measuredSeq = 0;
  #samples: Sample[] = [];
  #rttMs = 0;

  /** Notes when an input that may change the picture was sent. */
  sent(seq: number, atMs: number): void {
    this.#sent.set(seq, atMs);
    trim(this.#sent);
  }

  /** Takes the newest round trip. */
  network(rttMs: number): void {
    this.#rttMs = rttMs;
  }

  /** Takes what the agent says of a picture, before or after the picture itself. */
  timing(t: Timing): void {
    const shown = this.#shown.get(t.rtp);
    if (shown === undefined) {
      this.#timings.set(t.rtp, t);
      trim(this.#timings);
      return;
    }
    this.#shown.delete(t.rtp);
    this.#complete(t, shown);
  }

  /** Takes what the browser says of a picture. */
  shown(s: Shown): void {
    const timing = this.#timings.get(s.rtp);
    if (timing === undefined) {
      this.#shown.set(s.rtp, s);
      trim(this.#shown);
      return;
    }
    this.#timings.delete(s.rtp);
    this.#complete(timing, s);
  }

  /** Returns medians over what was seen in the last minute. */
  report(nowMs: number, route: Route): LatencyReport {
    this.#samples = this.#samples.filter((s) => nowMs - s.atMs < windowMs);
    const clicks = this.#samples.filter((s) => s.totalMs !== null);
    const of = clicks.length > 0 ? clicks : this.#samples;
    const shares = of.length === 0 ? null : medianShares(of);
    const total = clicks.length === 0 ? null : median(clicks.map((s) => s.totalMs ?? 0));
    return {
      clickToPictureMs: total,
      samples: clicks.length,
      shares,
      cause: shares === null ? "Not measured yet: no picture has changed." : causeOf(shares, total, route),
    };
  }

  #complete(t: Timing, s: Shown): void {
    const capture = (t.captureUs + t.convertUs) / 1000;
    const encode = t.encodeUs / 1000;
    const queue = t.queueUs / 1000;
    const decode = s.decodeMs ?? 0;
    const display = s.receivedMs === null ? 0 : Math.max(0, s.displayMs - s.receivedMs - (s.decodeMs ?? 0));
    const known = this.#rttMs + capture + encode + queue + decode + display;
    const sentMs = t.inputSeq > this.#measuredSeq ? this.#newestSent(t.inputSeq) : null;
    this.#measuredSeq = Math.max(this.#measuredSeq, t.inputSeq);
    let totalMs: number | null = null;
    let program = 0;
    if (sentMs !== null) {
      totalMs = s.displayMs - sentMs;
      program = Math.max(0, totalMs - known);
      if (program > longestProgramMs || totalMs < 0) {
        totalMs = null;
        program = 0;
      }
    }
    const shares = { network: this.#rttMs, program, capture, encode, queue, decode, display };
    this.#samples.push({ atMs: s.displayMs, totalMs, shares });
    // Inputs are rarer than pictures and must not be pushed out by them.
    const clicks = this.#samples.filter((x) => x.totalMs !== null).slice(-mostSamples);
    const others = this.#samples.filter((x) => x.totalMs === null).slice(-mostSamples);
    this.#samples = [...clicks, ...others];
  }

  /** The time the newest timed input up to seq was sent; forgets it and all before. */
  #newestSent(seq: number): number | null {
    let newest: number | null = null;
    for (const [n, at] of this.#sent) {
      if (n > seq) break;
      newest = at;
      this.#sent.delete(n);
    }
    return newest;
  }
}

/** Keeps the newest entries of a map that is filled in order. */
function trim<V>(m: Map<number, V>): void {
  for (const k of m.keys()) {
    if (m.size <= mostPending) return;
    m.delete(k);
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function medianShares(samples: readonly Sample[]): Shares {
  const of = (pick: (s: Shares) => number) => median(samples.map((s) => pick(s.shares)));
  return {
    network: of((s) => s.network),
    program: of((s) => s.program),
    capture: of((s) => s.capture),
    encode: of((s) => s.encode),
    queue: of((s) => s.queue),
    decode: of((s) => s.decode),
    display: of((s) => s.display),
  };
}

/** Below this a delay is not felt, and no share of it is worth blaming. */
const quickMs = 60;

/** Says which share is to blame, and why it is large. */
export function causeOf(s: Shares, totalMs: number | null, route: Route): string {
  const total = totalMs ?? Object.values(s).reduce((a: number, b: number) => a + b, 0);
  if (total < quickMs) return "Quick: nothing stands out.";
  const [name, ms] = Object.entries(s).reduce((a, b) => (b[1] > a[1] ? b : a)) as [keyof Shares, number];
  const n = `${Math.round(ms)} ms`;
  switch (name) {
    case "network":
      return route.relayed === true
        ? `The network adds ${n}: the connection runs over a relay.`
        : `The network adds ${n}: a round trip to the device takes that long.`;
    case "program":
      return `The program on the device takes ${n} to react, or the picture waits for room on the way.`;
    case "capture":
      return `Grabbing the screen adds ${n}: the device is busy.`;
    case "encode":
      return `Encoding adds ${n}: the device's processor is busy or slow.`;
    case "queue":
      return `Sending adds ${n}: the connection carries less than the picture needs.`;
    case "decode":
      return `Decoding adds ${n}: this computer is busy.`;
    case "display":
      return `Showing adds ${n}: this browser holds pictures back.`;
  }
}
