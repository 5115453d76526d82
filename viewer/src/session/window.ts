/** How much of a file may be on its way to the device: enough to keep the line busy, and no more. */
import { maxBlock, maxWindow } from "./files.ts";

// Under this a busy computer would be taken for a queue, and waited for.
const leastBlocks = 16;
/** How much longer than at its best a block may take before the window shrinks, in milliseconds. */
const queueingMs = 40;
/** How long a best time counts, in milliseconds: a way may get longer or shorter. */
const bestForMs = 10_000;

/** See the file's comment. Offsets are of the file; times are in milliseconds of any one clock. */
export class SendWindow {
  #blocks = leastBlocks;
  #bestMs = Number.POSITIVE_INFINITY;
  #sinceMs = 0;
  readonly #sent: { readonly end: number; readonly atMs: number }[] = [];

  /** Blocks that may be sent now. */
  get room(): number {
    return Math.max(0, Math.floor(this.#blocks) - this.#sent.length);
  }

  /** A block that ends at that offset was sent, or is about to be. */
  sent(end: number, nowMs: number): void {
    this.#sent.push({ end, atMs: nowMs });
  }

  /** The device has kept everything before an offset. */
  kept(offset: number, nowMs: number): void {
    let n = 0;
    while (n < this.#sent.length && (this.#sent[n]?.end ?? 0) <= offset) n++;
    const last = this.#sent[n - 1];
    if (last === undefined) return;
    this.#sent.splice(0, n);
    const took = nowMs - last.atMs;
    if (nowMs - this.#sinceMs > bestForMs) {
      // What was best may have waited in a queue of ours: with little on its way it shows.
      this.#blocks = leastBlocks;
      this.#bestMs = Number.POSITIVE_INFINITY;
      this.#sinceMs = nowMs;
      return;
    }
    this.#bestMs = Math.min(this.#bestMs, took);
    if (took < this.#bestMs + queueingMs) this.#blocks = Math.min(this.#blocks + n / 2, maxWindow);
    else this.#blocks = Math.max(this.#blocks * 0.9, leastBlocks);
  }

  /** Bytes on their way at most. */
  get bytes(): number {
    return Math.floor(this.#blocks) * maxBlock;
  }
}
