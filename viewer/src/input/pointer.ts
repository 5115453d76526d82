/** Mouse and pen on the picture: moves, button edges, wheel. Touch is another file's. */
import type { Place } from "../session/frames.ts";
import type { Sender } from "./sender.ts";
import { Wheel } from "./wheel.ts";

/** What a Pointer needs. */
export interface PointerOptions {
  /** The element that is the view of the picture. */
  readonly element: HTMLElement;
  readonly sender: Sender;
  /** The place of the remote screen at a point of the page; null beside the picture, unless clamped. */
  readonly placeAt: (clientX: number, clientY: number, clamp: boolean) => Place | null;
  /** The operator pressed a button on the view: it should get the keyboard. */
  readonly pressed: () => void;
  /** The pointer is here now, or (null) not over the view. */
  readonly hovered: (at: { readonly clientX: number; readonly clientY: number } | null) => void;
}

/** See the file's comment. */
export class Pointer {
  readonly #o: PointerOptions;
  readonly #stop = new AbortController();
  readonly #wheel = new Wheel();
  #last: Place | null = null;

  constructor(options: PointerOptions) {
    this.#o = options;
    const el = options.element;
    const signal = this.#stop.signal;
    const on = <K extends keyof HTMLElementEventMap>(name: K, take: (e: HTMLElementEventMap[K]) => void) =>
      el.addEventListener(name, take, { signal, passive: false });
    on("pointerdown", (e) => this.#down(e));
    on("pointermove", (e) => this.#move(e));
    on("pointerup", (e) => this.#edge(e));
    on("pointercancel", (e) => this.#edge(e));
    on("pointerleave", (e) => e.pointerType !== "touch" && options.hovered(null));
    on("wheel", (e) => this.#turn(e));
    on("contextmenu", (e) => e.preventDefault());
    // The middle button would scroll the page, back and forward would leave it.
    on("mousedown", (e) => e.preventDefault());
    on("auxclick", (e) => e.preventDefault());
    on("mouseup", (e) => e.button > 2 && e.preventDefault());
    on("dragstart", (e) => e.preventDefault());
  }

  /** Takes all listeners off. */
  close(): void {
    this.#stop.abort();
  }

  #down(e: PointerEvent): void {
    if (e.pointerType === "touch") return;
    e.preventDefault();
    this.#o.pressed();
    // A drag that leaves the view, or the window, still ends here.
    this.#o.element.setPointerCapture(e.pointerId);
    this.#edge(e);
  }

  #move(e: PointerEvent): void {
    if (e.pointerType === "touch") return;
    // A further button pressed or released while one is held comes as a move.
    if (e.buttons !== this.#o.sender.buttons) {
      this.#edge(e);
      return;
    }
    // Of what the browser has gathered for this frame only the newest position counts.
    const newest = e.getCoalescedEvents?.().at(-1) ?? e;
    this.#o.hovered(newest);
    const at = this.#o.placeAt(newest.clientX, newest.clientY, e.buttons !== 0);
    if (at === null) return;
    this.#last = at;
    this.#o.sender.move(at);
  }

  #edge(e: PointerEvent): void {
    if (e.pointerType === "touch") return;
    this.#o.hovered(e);
    const mask = e.type === "pointercancel" ? 0 : e.buttons;
    const held = this.#o.sender.buttons;
    // A press beside the picture is nobody's; a release counts wherever it happens.
    const at = this.#o.placeAt(e.clientX, e.clientY, held !== 0) ?? (held === 0 ? null : this.#last);
    if (at === null) return;
    this.#last = at;
    this.#o.sender.setButtons(mask, at);
  }

  #turn(e: WheelEvent): void {
    e.preventDefault(); // neither the page nor its zoom may move
    const at = this.#o.placeAt(e.clientX, e.clientY, false);
    if (at === null) return;
    const { dx, dy } = this.#wheel.take(e);
    if (dx !== 0 || dy !== 0) this.#o.sender.wheel(dx, dy, at);
  }
}
