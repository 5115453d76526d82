/** Text between the operator's clipboard and the device's. */
import type { Sender } from "./sender.ts";

/** What a Clipboard needs. */
export interface ClipboardOptions {
  readonly sender: Sender;
  /** Whether the session allows it now. */
  readonly allowed: () => boolean;
  /** Sends a text to the device; false when it cannot. */
  readonly send: (text: string) => boolean;
  /** Round trip to the device in milliseconds; null unknown. */
  readonly rttMs: () => number | null;
  /** A text of the device waits for a click, because the browser wants one before it may be copied. */
  readonly waiting: (text: string | null) => void;
}

/** The paste event follows its key at once or not at all. */
const pasteMs = 60;
/** The most a key waits for the clipboard text that goes before it. */
const mostWaitMs = 250;

/** See the file's comment. */
export class Clipboard {
  readonly #o: ClipboardOptions;
  /** The text both clipboards hold, so that it is not sent again with every paste. */
  #same: string | null = null;

  constructor(options: ClipboardOptions) {
    this.#o = options;
  }

  /** A key that pastes is about to be sent: keeps it back until the paste event has said what. */
  beforePaste(): boolean {
    if (!this.#o.allowed()) return false;
    this.#o.sender.pause(pasteMs);
    return true;
  }

  /** The browser's paste event: the text goes to the device, then the key. */
  pasted(text: string): void {
    if (!this.#o.allowed() || text === "" || text === this.#same || !this.#o.send(text)) {
      this.#o.sender.resume();
      return;
    }
    this.#same = text;
    // The clipboard has a channel of its own and says no more when it is through; the text is
    // under way before the key, and this gives a lost packet of it time to come again.
    this.#o.sender.pause(Math.min(mostWaitMs, 40 + (this.#o.rttMs() ?? 60)));
  }

  /** Sends the operator's clipboard without a key. Returns what went wrong, or "". */
  async sendNow(): Promise<string> {
    let text: string;
    try {
      text = await navigator.clipboard.readText();
    } catch {
      return "The browser does not let this page read the clipboard. Press Ctrl+V over the picture instead.";
    }
    if (text === "") return "The clipboard holds no text.";
    this.#same = text;
    return this.#o.send(text) ? "" : "The clipboard could not be sent.";
  }

  /** The device's clipboard changed. */
  async received(text: string): Promise<void> {
    if (!this.#o.allowed() || text === this.#same) return;
    this.#same = text;
    try {
      await navigator.clipboard.writeText(text);
      this.#o.waiting(null);
    } catch {
      this.#o.waiting(text);
    }
  }

  /** Copies the text that waits, now that the operator has clicked. */
  async take(text: string): Promise<void> {
    await navigator.clipboard.writeText(text);
    this.#o.waiting(null);
  }
}
