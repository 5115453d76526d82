/**
 * The hidden text field that has the focus while the operator works on the device. Keys pass it by;
 * what only a text field gets (an IME's commit, dead keys, soft keyboards, emoji panels, a paste)
 * comes out of it as text.
 */
import type { Keyboard } from "./keyboard.ts";
import type { Sender } from "./sender.ts";

/** What a TextField needs. */
export interface TextFieldOptions {
  readonly element: HTMLTextAreaElement;
  readonly keyboard: Keyboard;
  readonly sender: Sender;
  /** A paste reached the page: its text, "" if it has none. */
  readonly pasted: (text: string) => void;
  /** The field lost or gained the focus. */
  readonly focused: (has: boolean) => void;
}

/**
 * What a soft keyboard finds in the field: it deletes nothing from an empty one, so that Backspace
 * would never be heard of.
 */
const filler = "_".repeat(16);
const mostTyped = 256;

/** See the file's comment. */
export class TextField {
  readonly #o: TextFieldOptions;
  readonly #stop = new AbortController();
  #soft = false;
  #composing = false;
  #before = "";

  constructor(options: TextFieldOptions) {
    this.#o = options;
    const el = options.element;
    const signal = this.#stop.signal;
    el.inputMode = "none";
    el.addEventListener(
      "keydown",
      (e) => {
        if (options.keyboard.keyDown(e)) e.preventDefault();
        e.stopPropagation();
      },
      { signal },
    );
    el.addEventListener(
      "keyup",
      (e) => {
        if (options.keyboard.keyUp(e)) e.preventDefault();
        e.stopPropagation();
      },
      { signal },
    );
    el.addEventListener("compositionstart", () => this.#compositionStart(), { signal });
    el.addEventListener("compositionend", (e) => this.#compositionEnd(e.data), { signal });
    el.addEventListener("input", (e) => this.#input(e as InputEvent), { signal });
    el.addEventListener(
      "paste",
      (e) => {
        e.preventDefault();
        options.pasted(e.clipboardData?.getData("text/plain") ?? "");
      },
      { signal },
    );
    el.addEventListener("focus", () => options.focused(true), { signal });
    el.addEventListener(
      "blur",
      () => {
        options.keyboard.releaseAll();
        this.#composing = false;
        this.#clear();
        options.focused(false);
      },
      { signal },
    );
  }

  /** Whether the device's own keyboard on a phone is called for; focusing the field then shows it. */
  get soft(): boolean {
    return this.#soft;
  }

  set soft(on: boolean) {
    this.#soft = on;
    const el = this.#o.element;
    el.inputMode = on ? "text" : "none";
    this.#clear();
    // A field that has the focus already shows or hides the keyboard only when it gets it anew.
    el.blur();
    el.focus({ preventScroll: true });
  }

  /** Gives the keyboard to the device. */
  focus(): void {
    this.#o.element.focus({ preventScroll: true });
  }

  /** Takes all listeners off. */
  close(): void {
    this.#stop.abort();
  }

  #compositionStart(): void {
    this.#composing = true;
  }

  #compositionEnd(data: string): void {
    this.#composing = false;
    if (this.#soft) {
      this.#difference();
      return;
    }
    if (data !== "") this.#o.sender.text(data);
    this.#clear();
  }

  #input(e: InputEvent): void {
    if (this.#soft) {
      this.#difference();
      return;
    }
    if (this.#composing || e.isComposing) return;
    // Safari repeats a commit here that compositionend has sent already.
    if (e.inputType !== "insertFromComposition" && this.#o.element.value !== "") {
      this.#o.sender.text(this.#o.element.value);
    }
    this.#clear();
  }

  /** Soft keyboards rewrite whole words: deletes what went and types what came. */
  #difference(): void {
    const now = [...this.#o.element.value];
    const before = [...this.#before];
    let same = 0;
    while (same < now.length && same < before.length && now[same] === before[same]) same++;
    for (let n = before.length - same; n > 0; n--) this.#o.keyboard.chord(["Backspace"]);
    const typed = now.slice(same).join("");
    if (typed !== "") this.#o.sender.text(typed);
    this.#before = this.#o.element.value;
    if (!this.#composing && (now.length > mostTyped || now.length < filler.length / 2)) this.#clear();
  }

  #clear(): void {
    this.#before = this.#soft ? filler : "";
    const el = this.#o.element;
    if (el.value !== this.#before) el.value = this.#before;
    if (this.#soft) el.setSelectionRange(el.value.length, el.value.length);
  }
}
