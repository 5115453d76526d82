/**
 * Between a terminal's channel and the terminal on the page: what comes is shown in order, and said to be
 * shown, so that the device sends more; what is typed goes out in pieces the channel takes.
 */
import { encode } from "../../session/envelope.ts";
import {
  decodeTerminal,
  decodeTerminalFrame,
  inputFrame,
  shownFrame,
  type TerminalMessage,
} from "../../session/terminal.ts";
import { readMessage, type ToolChannel } from "../../session/toolchannel.ts";
import type { TerminalBrief } from "../../session/wire.gen.ts";

/** What a feed needs of a terminal: xterm.js's names. */
export interface Shown {
  write(data: Uint8Array | string, done?: () => void): void;
  resize(cols: number, rows: number): void;
  reset(): void;
  readonly cols: number;
  readonly rows: number;
}

/** What a feed tells. */
export interface FeedEvents {
  /** The channel is this terminal's. */
  readonly opened: (t: TerminalBrief) => void;
  /** What was shown before is shown; `cut` says that older lines are lost. From here on it is live. */
  readonly live: (cut: boolean) => void;
  /** The terminal is over. */
  readonly exited: (code: number, message: string) => void;
}

/** Shown bytes are told in steps of this many, and when nothing more waits. */
const tellStep = 16 << 10;
/** A page that is not looked at draws slowly: it takes this much before the device has to wait. */
const hiddenMost = 4 << 20;
/** Bytes of one piece of what is typed. */
const piece = 8 << 10;

/** See the file's comment. One for each channel. */
export class Feed {
  readonly #channel: ToolChannel;
  readonly #screen: Shown;
  readonly #on: FeedEvents;
  readonly #hidden: () => boolean;
  #came = 0;
  #shown = 0;
  #told = 0;
  #live = false;
  #cut = false;
  #typed: Uint8Array<ArrayBuffer>[] = [];
  #over = false;

  constructor(
    channel: ToolChannel,
    screen: Shown,
    on: FeedEvents,
    hidden: () => boolean = () => document.hidden,
  ) {
    this.#channel = channel;
    this.#screen = screen;
    this.#on = on;
    this.#hidden = hidden;
    channel.on("low", () => this.#flush());
  }

  /** Whether what the terminal says of itself, and what is typed, goes to the device. */
  get live(): boolean {
    return this.#live && !this.#over;
  }

  /** The channel is gone or another's: nothing more is told. */
  stop(): void {
    this.#over = true;
    this.#typed = [];
  }

  /** Takes a message of the channel. */
  take(m: string | ArrayBuffer): void {
    if (this.#over) return;
    if (typeof m === "string") {
      const said = readMessage(decodeTerminal, m);
      if (said !== null) this.#hear(said);
      return;
    }
    let bytes: Uint8Array;
    try {
      const f = decodeTerminalFrame(m);
      if (f.kind !== "output") return;
      bytes = f.bytes;
    } catch {
      return;
    }
    this.#came += bytes.length;
    this.#screen.write(bytes, () => {
      this.#shown += bytes.length;
      this.#tell();
    });
    if (this.#hidden()) this.#tell();
  }

  /** Types keys; false while the terminal is not live, and they are lost. */
  type(keys: Uint8Array): boolean {
    if (!this.live) return false;
    for (let at = 0; at < keys.length; at += piece) {
      this.#typed.push(inputFrame(keys.subarray(at, at + piece)));
    }
    this.#flush();
    return true;
  }

  /** Says how much fits the page. */
  resize(cols: number, rows: number): void {
    if (!this.#over) this.#channel.send(encode("terminal.resize", { cols, rows }));
  }

  /** Ends the terminal and what runs in it. */
  end(): void {
    if (!this.#over) this.#channel.send(encode("terminal.close", {}));
  }

  #hear(m: TerminalMessage): void {
    switch (m.type) {
      case "terminal.opened":
        this.#on.opened(m.body.terminal);
        return;
      // In the order of the output around them: what was written before is drawn first.
      case "terminal.replay":
        this.#live = false;
        this.#cut = m.body.cut;
        this.#inOrder(() => this.#screen.reset());
        return;
      case "terminal.size":
        this.#inOrder(() => this.#fit(m.body.cols, m.body.rows));
        return;
      case "terminal.ready":
        this.#inOrder(() => {
          this.#live = true;
          this.#on.live(this.#cut);
        });
        return;
      case "terminal.exited":
        this.#inOrder(() => this.#on.exited(m.body.code, m.body.message));
        return;
    }
  }

  #fit(cols: number, rows: number): void {
    if (this.#screen.cols !== cols || this.#screen.rows !== rows) this.#screen.resize(cols, rows);
  }

  #inOrder(then: () => void): void {
    this.#screen.write("", () => {
      if (!this.#over) then();
    });
  }

  #tell(): void {
    if (this.#over) return;
    const ahead = this.#hidden() && this.#came - this.#shown < hiddenMost;
    const now = ahead ? this.#came : this.#shown;
    if (now - this.#told < tellStep && now < this.#came) return;
    if (now <= this.#told || !this.#channel.send(shownFrame(now))) return;
    this.#told = now;
  }

  #flush(): void {
    for (let next = this.#typed[0]; next !== undefined; next = this.#typed[0]) {
      if (!this.#channel.send(next)) return;
      this.#typed.shift();
    }
  }
}
