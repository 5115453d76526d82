/** Wheel events in 1/120 of a notch, whatever unit the browser counts in. */

/** The part of a WheelEvent that counts. */
export interface WheelLike {
  readonly deltaX: number;
  readonly deltaY: number;
  /** 0 pixels, 1 lines, 2 pages. */
  readonly deltaMode: number;
  /** Chromium and Safari: -120 per notch down. */
  readonly wheelDeltaX?: number;
  readonly wheelDeltaY?: number;
}

/** One notch of a mouse wheel on the wire. */
export const notch = 120;
/** A notch is three lines in every browser that counts lines. */
const linesPerNotch = 3;
/** A notch is 100 pixels in browsers that count pixels and have no wheelDelta. */
const pixelsPerNotch = 100;

/** Turns events into whole units and keeps the fractions of slow scrolling for the next one. */
export class Wheel {
  #x = 0;
  #y = 0;

  /** Returns the units an event is worth; positive is right and down. */
  take(e: WheelLike): { readonly dx: number; readonly dy: number } {
    this.#x += units(e.deltaX, e.deltaMode, e.wheelDeltaX);
    this.#y += units(e.deltaY, e.deltaMode, e.wheelDeltaY);
    const dx = whole(this.#x);
    const dy = whole(this.#y);
    this.#x -= dx;
    this.#y -= dy;
    return { dx, dy };
  }
}

/** The whole units in a sum of fractions, which falls short of them by rounding. */
function whole(n: number): number {
  return Math.trunc(n + Math.sign(n) * 1e-6);
}

function units(delta: number, mode: number, wheelDelta: number | undefined): number {
  if (delta === 0) return 0;
  if (mode === 1) return (delta / linesPerNotch) * notch;
  if (mode === 2) return delta * notch * 10;
  if (wheelDelta !== undefined && wheelDelta !== 0) return -wheelDelta;
  return (delta / pixelsPerNotch) * notch;
}
