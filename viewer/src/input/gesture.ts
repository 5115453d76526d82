/**
 * What fingers on a touch screen mean. Pure: touches in, meanings out, with the caller's clock.
 *
 *   one finger    tap: click there; hold: right click; move: drag with the left button
 *   two fingers   tap: right click; move together: wheel; spread or pinch: zoom and pan the view
 */

/** One finger, in CSS pixels of the view. */
export interface Touch {
  readonly id: number;
  readonly x: number;
  readonly y: number;
}

/** What a gesture means. */
export type Meaning =
  | { readonly kind: "click"; readonly button: "left" | "right"; readonly x: number; readonly y: number }
  | {
      readonly kind: "drag";
      readonly phase: "start" | "move" | "end";
      readonly x: number;
      readonly y: number;
    }
  /** Pixels the content follows the fingers by. */
  | {
      readonly kind: "scroll";
      readonly x: number;
      readonly y: number;
      readonly dx: number;
      readonly dy: number;
    }
  /** Scale of the view since the last one, around a point, and how far that point moved. */
  | {
      readonly kind: "zoom";
      readonly x: number;
      readonly y: number;
      readonly factor: number;
      readonly dx: number;
      readonly dy: number;
    };

/** A finger that moves less than this has not moved. */
const slopPx = 10;
/** Fingers that spread or close by more than this zoom. */
const pinchPx = 24;
/** A finger that rests this long holds. */
export const holdMs = 550;
/** Two fingers that are gone within this have tapped. */
const tapMs = 300;

type State = "idle" | "touched" | "held" | "dragging" | "two" | "scrolling" | "zooming" | "done";

/** See the file's comment. */
export class Gestures {
  readonly #fingers = new Map<number, Touch>();
  readonly #mean: (m: Meaning) => void;
  #state: State = "idle";
  #start = { x: 0, y: 0, distance: 0, atMs: 0 };
  #last = { x: 0, y: 0, distance: 0 };

  constructor(mean: (m: Meaning) => void) {
    this.#mean = mean;
  }

  /** Whether a finger rests that `hold` should be called for after `holdMs`. */
  get mayHold(): boolean {
    return this.#state === "touched";
  }

  /** A finger came down. */
  down(t: Touch, nowMs: number): void {
    this.#fingers.set(t.id, t);
    if (this.#fingers.size === 1) {
      this.#state = "touched";
      this.#start = { x: t.x, y: t.y, distance: 0, atMs: nowMs };
      this.#last = { x: t.x, y: t.y, distance: 0 };
      return;
    }
    if (this.#state === "dragging")
      this.#mean({ kind: "drag", phase: "end", x: this.#last.x, y: this.#last.y });
    if (this.#fingers.size === 2 && this.#state !== "done") {
      const m = this.#middle();
      this.#state = "two";
      this.#start = { ...m, atMs: this.#start.atMs };
      this.#last = m;
    } else {
      this.#state = "done"; // three fingers mean nothing, and neither does what is left of them
    }
  }

  /** A finger moved. */
  move(t: Touch): void {
    if (!this.#fingers.has(t.id)) return;
    this.#fingers.set(t.id, t);
    if (this.#fingers.size === 1) this.#moveOne(t);
    else if (this.#fingers.size === 2) this.#moveTwo();
  }

  /** A finger was lifted. */
  up(id: number, nowMs: number): void {
    const t = this.#fingers.get(id);
    if (t === undefined) return;
    this.#fingers.delete(id);
    if (this.#state === "touched")
      this.#mean({ kind: "click", button: "left", x: this.#start.x, y: this.#start.y });
    if (this.#state === "held")
      this.#mean({ kind: "click", button: "right", x: this.#start.x, y: this.#start.y });
    if (this.#state === "dragging") this.#mean({ kind: "drag", phase: "end", x: t.x, y: t.y });
    if (this.#state === "two" && nowMs - this.#start.atMs < tapMs) {
      this.#mean({ kind: "click", button: "right", x: this.#start.x, y: this.#start.y });
    }
    this.#state = this.#fingers.size === 0 ? "idle" : "done";
  }

  /** A finger has rested for `holdMs`: lifting it is now a right click, moving it still a drag. */
  hold(): void {
    if (this.#state === "touched") this.#state = "held";
  }

  /** The system took the fingers away. */
  cancel(): void {
    if (this.#state === "dragging")
      this.#mean({ kind: "drag", phase: "end", x: this.#last.x, y: this.#last.y });
    this.#fingers.clear();
    this.#state = "idle";
  }

  #moveOne(t: Touch): void {
    if (this.#state === "touched" || this.#state === "held") {
      if (Math.hypot(t.x - this.#start.x, t.y - this.#start.y) < slopPx) return;
      this.#state = "dragging";
      this.#mean({ kind: "drag", phase: "start", x: this.#start.x, y: this.#start.y });
    }
    if (this.#state !== "dragging") return;
    this.#last = { x: t.x, y: t.y, distance: 0 };
    this.#mean({ kind: "drag", phase: "move", x: t.x, y: t.y });
  }

  #moveTwo(): void {
    const m = this.#middle();
    if (this.#state === "two") {
      if (Math.abs(m.distance - this.#start.distance) > pinchPx) this.#state = "zooming";
      else if (Math.hypot(m.x - this.#start.x, m.y - this.#start.y) > slopPx) this.#state = "scrolling";
      else return;
    }
    const by = { dx: m.x - this.#last.x, dy: m.y - this.#last.y };
    if (this.#state === "scrolling") this.#mean({ kind: "scroll", x: m.x, y: m.y, ...by });
    if (this.#state === "zooming" && this.#last.distance > 0) {
      this.#mean({ kind: "zoom", x: m.x, y: m.y, factor: m.distance / this.#last.distance, ...by });
    }
    this.#last = m;
  }

  #middle(): { x: number; y: number; distance: number } {
    const [a, b] = [...this.#fingers.values()];
    if (a === undefined || b === undefined) return this.#last;
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, distance: Math.hypot(a.x - b.x, a.y - b.y) };
  }
}
