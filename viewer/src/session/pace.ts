/** How fast a file may move: fully while nobody works at the picture, gently while somebody does. */

/** Bytes a second while nobody works at the picture: less than the device closes a channel for. */
export const fullRate = 56 << 20;

/** Bytes a second while somebody does: their keys and pictures need the same line and processors. */
export const gentleRate = 6 << 20;

/** After the last click or key this long counts as working, in milliseconds. */
export const workingMs = 1500;

/** The share of a second that may be used at once. */
const burst = 1 / 20;

/** Bytes that may move, as time goes by. Times are in milliseconds of any one clock. */
export class Pace {
  #bytes = 0;
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
  }

  /** Bytes that may move now at a rate; negative where more has been spent. */
  allowed(rate: number, nowMs: number): number {
    this.#bytes = Math.min(rate * burst, this.#bytes + ((nowMs - this.#atMs) / 1000) * rate);
    this.#atMs = nowMs;
    return this.#bytes;
  }

  /** So many move. */
  spend(bytes: number): void {
    this.#bytes -= bytes;
  }
}
