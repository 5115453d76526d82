/**
 * The viewer's end of one tool's channel: messages in, messages out, and why it closed. What carries it
 * is src/browser's; a tool's own conversation is in the module that knows the tool.
 */
import { Emitter } from "./emitter.ts";
import { decodeHelper } from "./envelope.ts";
import type { Code } from "./wire.gen.ts";

/** Why a channel closed: the device's words, or "" for both when the connection went away. */
export interface ToolEnd {
  readonly code: Code | "";
  readonly message: string;
}

/** What a ToolChannel tells. */
export interface ToolEvents {
  /** It carries messages from now on. */
  open: undefined;
  /** A message, as it came: JSON texts or bytes. */
  message: string | ArrayBuffer;
  /** Less waits to be sent than before: go on sending. */
  low: undefined;
  /** It is over; nothing comes afterwards. Said once, and not after `close`. */
  close: ToolEnd;
}

/** See the file's comment. Listen at once: nothing is kept for those who come late. */
export interface ToolChannel {
  readonly name: string;
  /** Whether it carries messages. Between its end and what "close" says of that it does not. */
  readonly isOpen: boolean;
  /** Sends a message of at most maxChannel bytes; false when it is not open, or its buffer is full. */
  send(m: string | Uint8Array<ArrayBuffer>): boolean;
  /** Bytes that wait to be sent. */
  readonly buffered: number;
  /** Calls `fn` at every `event` until the returned function is called. */
  on<K extends keyof ToolEvents>(event: K, fn: (e: ToolEvents[K]) => void): () => void;
  /** Closes it from this side; nobody is told. */
  close(): void;
}

/** What carries a channel's messages. */
export interface ToolPipe {
  readonly isOpen: () => boolean;
  readonly send: (m: string | Uint8Array<ArrayBuffer>) => boolean;
  readonly buffered: () => number;
  readonly close: () => void;
}

/** A ToolChannel over a pipe, whose owner says what happens to it. */
export class PipedTool extends Emitter<ToolEvents> implements ToolChannel {
  readonly name: string;
  readonly #pipe: ToolPipe;
  #end: ToolEnd = { code: "", message: "" };
  #over = false;

  constructor(name: string, pipe: ToolPipe) {
    super();
    this.name = name;
    this.#pipe = pipe;
  }

  get isOpen(): boolean {
    return !this.#over && this.#pipe.isOpen();
  }

  get buffered(): number {
    return this.#pipe.buffered();
  }

  send(m: string | Uint8Array<ArrayBuffer>): boolean {
    return !this.#over && this.#pipe.send(m);
  }

  close(): void {
    this.#over = true;
    this.#pipe.close();
  }

  /** The pipe is open. */
  opened(): void {
    if (!this.#over) this.emit("open", undefined);
  }

  /** A message came. The device's reason to close is kept and not passed on. */
  received(m: string | ArrayBuffer): void {
    if (this.#over) return;
    const end = typeof m === "string" ? reasonIn(m) : null;
    if (end === null) this.emit("message", m);
    else this.#end = end;
  }

  /** Less waits to be sent. */
  drained(): void {
    if (!this.#over) this.emit("low", undefined);
  }

  /** The pipe is gone. */
  ended(): void {
    if (this.#over) return;
    this.#over = true;
    this.emit("close", this.#end);
  }
}

/** Tells the device's last words ("say") from everything else that comes over a tool's channel. */
function reasonIn(text: string): ToolEnd | null {
  if (!text.startsWith('{"v":') || !text.slice(0, 40).includes('"type":"say"')) return null;
  try {
    const m = decodeHelper(text);
    return m?.type === "say" ? { code: m.body.code, message: m.body.message } : null;
  } catch {
    return null;
  }
}

/** Reads a message with a tool's decoder. What is no message of the tool is dropped whole, as null. */
export function readMessage<M>(decode: (text: string) => M | null, m: string | ArrayBuffer): M | null {
  if (typeof m !== "string") return null;
  try {
    return decode(m);
  } catch {
    return null;
  }
}
