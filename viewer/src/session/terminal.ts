/**
 * What goes over a terminal's channel: the tool's messages, and the binary frames of signaling/shell in Go,
 * whose golden vectors both are tested with.
 */
import { decoderOf, type Message } from "./envelope.ts";
import { type Fields, integer, isFields, list, number, string, WireError } from "./fields.ts";
import type { TerminalBrief } from "./wire.gen.ts";

/** What the device says over the channel of "terminal". */
export type TerminalMessage = Message<
  | "terminal.listed"
  | "terminal.opened"
  | "terminal.replay"
  | "terminal.ready"
  | "terminal.size"
  | "terminal.exited"
>;

/** How many terminals of one session run at once. */
export const maxTerminals = 16;
/** Bytes of one frame beside its kind. */
export const maxTerminalBytes = 16 << 10;

const maxCells = 2000;

function brief(b: Fields): TerminalBrief {
  const id = string(b, "id", 64);
  if (id === "") throw new WireError("a terminal without an id");
  return {
    id,
    user: string(b, "user", 256),
    root: b.root === true,
    opener: string(b, "opener", 256),
    started_ms: number(b, "started_ms"),
    viewers: integer(b, "viewers", 0, 1e6),
    recorded: b.recorded === true,
  };
}

/** Reads a message of the tool; see decoderOf. */
export const decodeTerminal = decoderOf<TerminalMessage["type"]>({
  "terminal.listed": (b) => ({
    user: string(b, "user", 256),
    user_problem: string(b, "user_problem", 1024),
    root_problem: string(b, "root_problem", 1024),
    keep_ms: number(b, "keep_ms"),
    terminals: list(b, "terminals", maxTerminals).map(brief),
  }),
  "terminal.opened": (b) => {
    if (!isFields(b.terminal)) throw new WireError("no terminal");
    return { terminal: brief(b.terminal) };
  },
  "terminal.replay": (b) => ({ cut: b.cut === true }),
  "terminal.ready": () => ({}),
  "terminal.size": (b) => ({
    cols: integer(b, "cols", 2, maxCells),
    rows: integer(b, "rows", 1, maxCells),
  }),
  "terminal.exited": (b) => ({ code: number(b, "code"), message: string(b, "message", 1024) }),
});

/** A binary frame. */
export type TerminalFrame =
  | { readonly kind: "input" | "output"; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: "shown"; readonly shown: number };

const inputKind = 1;
const shownKind = 2;
const outputKind = 3;

/** Reads a frame, which keeps the buffer's bytes; throws WireError for what is none. */
export function decodeTerminalFrame(b: ArrayBuffer): TerminalFrame {
  if (b.byteLength < 2) throw new WireError("not a frame of a terminal");
  const kind = new DataView(b).getUint8(0);
  if (kind === inputKind || kind === outputKind) {
    const bytes = new Uint8Array(b, 1);
    if (bytes.length > maxTerminalBytes) throw new WireError("a frame over the size limit");
    return { kind: kind === inputKind ? "input" : "output", bytes };
  }
  if (kind !== shownKind || b.byteLength !== 9) throw new WireError("not a frame of a terminal");
  return { kind: "shown", shown: Number(new DataView(b).getBigUint64(1)) };
}

/** The frame of keys: 1 to maxTerminalBytes bytes. */
export function inputFrame(keys: Uint8Array): Uint8Array<ArrayBuffer> {
  const b = new Uint8Array(1 + keys.length);
  b[0] = inputKind;
  b.set(keys, 1);
  return b;
}

/** The frame that says how many bytes of output this channel's page has shown. */
export function shownFrame(shown: number): Uint8Array<ArrayBuffer> {
  const b = new Uint8Array(9);
  b[0] = shownKind;
  new DataView(b.buffer).setBigUint64(1, BigInt(shown));
  return b;
}
