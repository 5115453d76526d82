/** Fingers on the picture: feeds Gestures and does what they mean. */
import type { Place } from "../session/frames.ts";
import { Gestures, holdMs, type Meaning } from "./gesture.ts";
import type { Sender } from "./sender.ts";
import { notch } from "./wheel.ts";

/** What a Touchscreen needs. */
export interface TouchscreenOptions {
  readonly element: HTMLElement;
  readonly sender: Sender;
  readonly placeAt: (clientX: number, clientY: number, clamp: boolean) => Place | null;
  /** Zooms the view around a point of it, and moves that point; CSS pixels relative to the view. */
  readonly zoomed: (x: number, y: number, factor: number, dx: number, dy: number) => void;
  /** The operator tapped: the view should get the keyboard back. */
  readonly tapped: () => void;
}

/** This much of a finger's way is one notch of a wheel. */
const pixelsPerNotch = 40;

/** See the file's comment. */
export class Touchscreen {
  readonly #o: TouchscreenOptions;
  readonly #stop = new AbortController();
  readonly #gestures: Gestures;
  #hold: number | undefined;
  #rest = { x: 0, y: 0 };

  constructor(options: TouchscreenOptions) {
    this.#o = options;
    this.#gestures = new Gestures((m) => this.#do(m));
    const el = options.element;
    const on = (
      name: "pointerdown" | "pointermove" | "pointerup" | "pointercancel",
      take: (e: PointerEvent) => void,
    ) =>
      el.addEventListener(
        name,
        (e) => {
          if (e.pointerType === "touch") take(e);
        },
        { signal: this.#stop.signal },
      );
    on("pointerdown", (e) => {
      e.preventDefault();
      el.setPointerCapture(e.pointerId);
      this.#gestures.down(this.#at(e), e.timeStamp);
      clearTimeout(this.#hold);
      this.#hold = window.setTimeout(() => {
        if (!this.#gestures.mayHold) return;
        this.#gestures.hold();
        navigator.vibrate?.(15);
      }, holdMs);
    });
    on("pointermove", (e) => this.#gestures.move(this.#at(e)));
    on("pointerup", (e) => {
      clearTimeout(this.#hold);
      this.#gestures.up(e.pointerId, e.timeStamp);
    });
    on("pointercancel", () => {
      clearTimeout(this.#hold);
      this.#gestures.cancel();
    });
  }

  /** Takes all listeners off. */
  close(): void {
    clearTimeout(this.#hold);
    this.#stop.abort();
  }

  #at(e: PointerEvent): { id: number; x: number; y: number } {
    const box = this.#o.element.getBoundingClientRect();
    return { id: e.pointerId, x: e.clientX - box.left, y: e.clientY - box.top };
  }

  #place(x: number, y: number, clamp: boolean): Place | null {
    const box = this.#o.element.getBoundingClientRect();
    return this.#o.placeAt(x + box.left, y + box.top, clamp);
  }

  #do(m: Meaning): void {
    const { sender } = this.#o;
    if (m.kind === "zoom") {
      this.#o.zoomed(m.x, m.y, m.factor, m.dx, m.dy);
      return;
    }
    const at = this.#place(m.x, m.y, m.kind === "drag");
    if (at === null) return;
    switch (m.kind) {
      case "click":
        this.#o.tapped();
        sender.move(at);
        sender.setButtons(m.button === "left" ? 1 : 2, at);
        sender.setButtons(0, at);
        break;
      case "drag":
        if (m.phase === "move") sender.move(at);
        else sender.setButtons(m.phase === "start" ? 1 : 0, at);
        break;
      case "scroll":
        this.#scroll(m.dx, m.dy, at);
        break;
    }
  }

  /** The content follows the fingers, so the wheel turns the other way. */
  #scroll(dx: number, dy: number, at: Place): void {
    const x = this.#rest.x - (dx / pixelsPerNotch) * notch;
    const y = this.#rest.y - (dy / pixelsPerNotch) * notch;
    this.#rest = { x: x - Math.trunc(x), y: y - Math.trunc(y) };
    if (Math.trunc(x) !== 0 || Math.trunc(y) !== 0) this.#o.sender.wheel(Math.trunc(x), Math.trunc(y), at);
  }
}
