/** Reads the figures of a connection about once a second. */

/** The figures of a connection. Null is: not known (yet). */
export interface Meter {
  /** Round trip between browser and device, milliseconds. */
  readonly rttMs: number | null;
  /** Pictures shown a second. */
  readonly fps: number;
  /** Everything received, kilobits (1000) a second. */
  readonly kbitPerSecond: number;
  /** "VP8" and such. */
  readonly codec: string;
  /** Whether the path goes over a relay. */
  readonly relayed: boolean | null;
  /** "udp" or "tcp". */
  readonly protocol: string;
  /** Size of the picture as it is decoded, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Share of the packets lost, 0 to 1, over the last second. */
  readonly loss: number;
}

/** What a MeterReader reads from and tells. */
export interface MeterOptions {
  readonly stats: () => Promise<RTCStatsReport>;
  /** Sends a ping that carries the page's clock; false when that is not possible. */
  readonly ping: (t: number) => boolean;
  readonly rtt: (ms: number) => void;
  readonly meter: (m: Meter) => void;
}

const everyMs = 1000;
/** Pings cost bytes on a connection that should cost nothing at rest; they go on this long after an input. */
const activeMs = 10_000;

interface Totals {
  readonly atMs: number;
  readonly bytes: number;
  readonly frames: number;
  readonly packets: number;
  readonly lost: number;
}

/** See the file's comment. */
export class MeterReader {
  /** Whether somebody looks at the figures. */
  watched = false;
  /** The figures last read. */
  last: Meter | null = null;
  readonly #options: MeterOptions;
  #timer: number | undefined;
  #before: Totals | null = null;
  #activeMs = Number.NEGATIVE_INFINITY;
  #rttMs: number | null = null;
  #rttAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: MeterOptions) {
    this.#options = options;
  }

  /** Begins to read. Does nothing when it has begun. */
  start(): void {
    if (this.#timer !== undefined) return;
    this.#before = null;
    this.#options.ping(performance.now());
    this.#timer = window.setInterval(() => this.#read(), everyMs);
  }

  /** Ends reading. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Notes that the operator does something. */
  active(nowMs: number): void {
    if (nowMs - this.#activeMs > everyMs && nowMs - this.#rttAtMs > everyMs) this.#options.ping(nowMs);
    this.#activeMs = nowMs;
  }

  /** Takes the answer to a ping. */
  pong(t: number): void {
    const now = performance.now();
    const ms = now - t;
    if (ms < 0 || ms > 60_000) return;
    this.#rttMs = ms;
    this.#rttAtMs = now;
    this.#options.rtt(ms);
  }

  async #read(): Promise<void> {
    const now = performance.now();
    if (this.watched || now - this.#activeMs < activeMs) this.#options.ping(now);
    let report: RTCStatsReport;
    try {
      report = await this.#options.stats();
    } catch {
      return; // the connection was closed meanwhile
    }
    if (this.#timer === undefined) return;
    this.last = this.#figures(report, now);
    this.#options.meter(this.last);
  }

  #figures(report: RTCStatsReport, now: number): Meter {
    const all = [...report.values()] as Record<string, unknown>[];
    const byId = (id: unknown) =>
      typeof id === "string" ? (report.get(id) as Record<string, unknown>) : undefined;
    const transport = all.find((s) => s.type === "transport");
    const pair = byId(transport?.selectedCandidatePairId);
    const local = byId(pair?.localCandidateId);
    const remote = byId(pair?.remoteCandidateId);
    const video = all.find((s) => s.type === "inbound-rtp" && s.kind === "video");
    const codec = byId(video?.codecId);
    const totals: Totals = {
      atMs: now,
      bytes: amount(transport?.bytesReceived),
      frames: amount(video?.framesDecoded),
      packets: amount(video?.packetsReceived),
      lost: amount(video?.packetsLost),
    };
    const before = this.#before ?? totals;
    this.#before = totals;
    const seconds = Math.max(0.001, (totals.atMs - before.atMs) / 1000);
    const packets = totals.packets - before.packets;
    const lost = Math.max(0, totals.lost - before.lost);
    const paired = typeof pair?.currentRoundTripTime === "number" ? pair.currentRoundTripTime * 1000 : null;
    const fresh = now - this.#rttAtMs < 5 * everyMs;
    if (!fresh && paired !== null) this.#options.rtt(paired);
    return {
      rttMs: fresh ? this.#rttMs : (paired ?? this.#rttMs),
      fps: (totals.frames - before.frames) / seconds,
      kbitPerSecond: ((totals.bytes - before.bytes) * 8) / 1000 / seconds,
      codec: typeof codec?.mimeType === "string" ? codec.mimeType.replace(/^video\//, "") : "",
      relayed:
        pair === undefined ? null : local?.candidateType === "relay" || remote?.candidateType === "relay",
      protocol: String(local?.relayProtocol ?? local?.protocol ?? ""),
      width: amount(video?.frameWidth),
      height: amount(video?.frameHeight),
      loss: packets + lost > 0 ? lost / (packets + lost) : 0,
    };
  }
}

function amount(x: unknown): number {
  return typeof x === "number" ? x : 0;
}
