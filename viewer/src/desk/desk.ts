/**
 * Joins a session, the operator's input devices and the view of the screen. It decides when input
 * may go out, and lets go of everything whenever it may not. A page drives it; React is not needed.
 */
import type { Session } from "../browser/session.ts";
import { Clipboard } from "../input/clipboard.ts";
import { Keyboard, type Platform } from "../input/keyboard.ts";
import { Pointer } from "../input/pointer.ts";
import { Sender } from "../input/sender.ts";
import { TextField } from "../input/textfield.ts";
import { Touchscreen } from "../input/touch.ts";
import { type Framing, mostZoom, type Scaling, wholePicture } from "../screen/geometry.ts";
import { Screen } from "../screen/screen.ts";
import { Emitter } from "../session/emitter.ts";
import type { AgentFrame } from "../session/frames.ts";
import { isInControl, mayClipboard } from "../session/state.ts";

/** The elements of a desk, made by whoever places them. */
export interface DeskElements {
  readonly view: HTMLElement;
  readonly video: HTMLVideoElement;
  readonly cursor: HTMLCanvasElement;
  /** Has the focus while the operator works on the device. */
  readonly field: HTMLTextAreaElement;
}

/** The viewer's own shortcuts: Ctrl+Alt+Shift and one of these physical keys. */
export const ownShortcuts = {
  KeyF: "fullscreen",
  KeyT: "toolbar",
  KeyD: "tools",
  KeyH: "help",
  KeyV: "paste",
  KeyS: "screenshot",
  Digit0: "fit",
  Digit1: "actual",
} as const satisfies Readonly<Record<string, string>>;

/** What an own shortcut asks for. */
export type OwnAction = (typeof ownShortcuts)[keyof typeof ownShortcuts];

/** What a desk tells. */
export interface DeskEvents {
  framing: Framing;
  /** The operator used an own shortcut. */
  action: OwnAction;
  /** A clipboard text of the device needs a click before it can be copied; null: none any more. */
  clipboard: string | null;
  /** The device has the keyboard, or not. */
  focus: boolean;
}

/** See the file's comment. */
export class Desk extends Emitter<DeskEvents> {
  readonly clipboard: Clipboard;
  readonly keyboard: Keyboard;
  readonly #session: Session;
  readonly #screen: Screen;
  readonly #sender: Sender;
  readonly #field: TextField;
  readonly #pointer: Pointer;
  readonly #touch: Touchscreen;
  readonly #stop = new AbortController();
  readonly #offs: (() => void)[];
  #viewOnly = false;
  #askedControl = false;
  #mouse = true;

  constructor(session: Session, el: DeskElements, platform: Platform) {
    super();
    this.#session = session;
    this.#sender = new Sender({ send: (f) => session.sendInput(f) });
    this.clipboard = new Clipboard({
      sender: this.#sender,
      allowed: () => mayClipboard(session.view),
      send: (text) => session.sendClipboard(text),
      rttMs: () => session.meter?.rttMs ?? null,
      waiting: (text) => this.emit("clipboard", text),
    });
    this.keyboard = new Keyboard({
      sender: this.#sender,
      platform,
      beforePaste: () => this.#sender.enabled && this.clipboard.beforePaste(),
      ownShortcut: (code) => this.#own(code),
    });
    this.#screen = new Screen(el, {
      shown: (s) => {
        session.pictureShown();
        if (s !== null) session.latency.shown(s);
      },
      framed: (f) => this.emit("framing", f),
    });
    this.#field = new TextField({
      element: el.field,
      keyboard: this.keyboard,
      sender: this.#sender,
      pasted: (text) => this.clipboard.pasted(text),
      focused: (has) => this.emit("focus", has),
    });
    const placeAt = (x: number, y: number, clamp: boolean) => this.#screen.placeAt(x, y, clamp);
    this.#pointer = new Pointer({
      element: el.view,
      sender: this.#sender,
      placeAt,
      pressed: () => this.focus(),
      hovered: (at) => {
        this.#useMouse(true);
        this.#screen.hover(at);
      },
    });
    this.#touch = new Touchscreen({
      element: el.view,
      sender: this.#sender,
      placeAt,
      zoomed: (x, y, factor, dx, dy) => this.#screen.zoom({ x, y }, factor, { x: dx, y: dy }),
      tapped: () => {
        this.#useMouse(false);
        if (this.#field.soft) this.focus();
      },
    });
    this.#offs = [
      session.on("view", () => this.#follow()),
      session.on("stream", (s) => {
        this.#screen.stream = s;
      }),
      session.on("agent", (f) => this.#cursor(f)),
      session.on("clipboard", (text) => void this.clipboard.received(text)),
      session.on("channels", (up) => {
        this.#sender.forget();
        if (!up) this.#askedControl = false;
        this.#follow();
      }),
    ];
    const signal = this.#stop.signal;
    document.addEventListener("visibilitychange", () => this.#follow(), { signal });
    addEventListener("blur", () => this.keyboard.releaseAll(), { signal });
    addEventListener("pagehide", () => this.keyboard.releaseAll(), { signal });
    this.#screen.stream = session.stream;
    this.#follow();
  }

  /** Never to send input, whatever is granted. */
  get viewOnly(): boolean {
    return this.#viewOnly;
  }

  set viewOnly(on: boolean) {
    this.#viewOnly = on;
    this.#follow();
  }

  /** Whether input goes to the device. */
  get active(): boolean {
    return this.#sender.enabled;
  }

  /** Whether a phone's own keyboard is shown for typing. */
  get softKeyboard(): boolean {
    return this.#field.soft;
  }

  set softKeyboard(on: boolean) {
    this.#field.soft = on;
  }

  get framing(): Framing {
    return this.#screen.framing;
  }

  /** Shows the whole picture, pixel for pixel, or keeps the zoom. */
  set scaling(s: Scaling) {
    this.#screen.framing = s === "fit" ? wholePicture : { ...this.#screen.framing, scaling: s };
  }

  /** Zooms in (above 1) or out around the middle of the view. */
  zoomBy(factor: number): void {
    const f = this.#screen.framing;
    if (f.scaling === "zoom" && f.zoom * factor > mostZoom) return;
    const { left, top, width, height } = this.#screen.layout;
    this.#screen.zoom({ x: left + width / 2, y: top + height / 2 }, factor);
  }

  /** Gives the keyboard to the device. */
  focus(): void {
    this.#field.focus();
  }

  /** Presses keys in a row, all together, and lets go: ["ControlLeft", "AltLeft", "Delete"]. */
  pressKeys(codes: readonly string[]): void {
    this.keyboard.chord(codes);
  }

  /** Types a text at the device, key by key. */
  typeText(text: string): void {
    this.#sender.text(text);
  }

  /** The picture as a PNG; null when there is none. */
  screenshot(): Promise<Blob | null> {
    return this.#screen.screenshot();
  }

  /** Lets go of everything and ends. The session goes on. */
  close(): void {
    this.#sender.enabled = false;
    this.#stop.abort();
    for (const off of this.#offs) off();
    this.#pointer.close();
    this.#touch.close();
    this.#field.close();
    this.#screen.close();
  }

  #own(code: string): boolean {
    if (!Object.hasOwn(ownShortcuts, code)) return false;
    this.emit("action", ownShortcuts[code as keyof typeof ownShortcuts]);
    return true;
  }

  /** Brings everything in line with what the session allows now. */
  #follow(): void {
    const v = this.#session.view;
    const enabled = isInControl(v) && !this.#viewOnly && document.visibilityState === "visible";
    if (this.#sender.enabled && !enabled) this.keyboard.releaseAll();
    this.#sender.enabled = enabled;
    this.#screen.monitor = v.selected;
    this.#screen.ownPointer = enabled && this.#mouse;
    this.#askControl();
  }

  /** Whoever comes first and may, works: asks once for each connection, and only if nobody has it. */
  #askControl(): void {
    const v = this.#session.view;
    if (this.#askedControl || this.#viewOnly || v.transport !== "connected" || !v.may.includes("control"))
      return;
    this.#askedControl = true;
    if (v.control === "") this.#session.askControl();
  }

  #useMouse(mouse: boolean): void {
    if (mouse === this.#mouse) return;
    this.#mouse = mouse;
    this.#follow();
  }

  #cursor(f: AgentFrame): void {
    if (f.type === "cursor_shape") this.#screen.addCursor(f.hash, f);
    else if (f.type === "cursor_use") this.#screen.selectCursor(f.hash, f.visible);
    else if (f.type === "cursor_at") this.#screen.moveCursor(f);
  }
}
