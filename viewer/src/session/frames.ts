/** The binary frames of the input channels: encodes the viewer's, decodes the agent's. */
import { buttonCount, frameType, headerSize, maxHeld, maxKeyText, maxPNG, maxText } from "./keys.gen.ts";
import { utf8 } from "./utf8.ts";

/** The modifiers of a key event, as a bitmap. */
export const mod = { shift: 1, ctrl: 2, alt: 4, meta: 8, altGr: 16, capsLock: 32, numLock: 64 } as const;

/** The lock lights of a keyboard, as a bitmap. */
export const lock = { caps: 1, num: 2, scroll: 4 } as const;

/** A place on a monitor: x, y are 0..65535 across it; monitor 0 is the whole desktop. */
export interface Place {
  readonly monitor: number;
  readonly x: number;
  readonly y: number;
}

/** One frame of the viewer, without its sequence number. */
export type InputFrame =
  | ({ readonly type: "move"; readonly buttons: number } & Place)
  | { readonly type: "key_down"; readonly code: number; readonly mods: number; readonly text: string }
  | { readonly type: "key_up"; readonly code: number; readonly mods: number }
  | ({
      readonly type: "button";
      /** The number of its bit in the mask: 0 left, 1 right, 2 middle, 3 back, 4 forward. */
      readonly button: number;
      readonly down: boolean;
      /** What is held after it, as in MouseEvent.buttons. */
      readonly buttons: number;
    } & Place)
  | ({
      readonly type: "wheel";
      readonly buttons: number;
      /** 1/120 of a notch; positive is right. */
      readonly dx: number;
      /** 1/120 of a notch; positive is down. */
      readonly dy: number;
    } & Place)
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "held"; readonly buttons: number; readonly codes: readonly number[] }
  | { readonly type: "release_all" }
  | { readonly type: "set_locks"; readonly locks: number };

/** Whether a frame travels on the pointer channel; all others take the control channel. */
export function isPointerFrame(f: InputFrame): boolean {
  return f.type === "move";
}

/** Whether a frame may change the picture, so that its way to the screen is worth timing. */
export function isStimulus(f: InputFrame): boolean {
  return f.type === "key_down" || f.type === "text" || f.type === "wheel" || (f.type === "button" && f.down);
}

/** Encodes one frame. Text longer than the wire allows is cut at a character. */
export function encodeFrame(seq: number, f: InputFrame): Uint8Array<ArrayBuffer> {
  const w = new Writer(frameType[f.type], seq);
  switch (f.type) {
    case "move":
      w.u8(f.monitor).u8(f.buttons).u16(f.x).u16(f.y);
      break;
    case "key_down": {
      const text = cut(f.text, maxKeyText);
      w.u16(f.code).u8(f.mods).u8(text.length).bytes(text);
      break;
    }
    case "key_up":
      w.u16(f.code).u8(f.mods);
      break;
    case "button":
      w.u8(f.monitor)
        .u8(f.button)
        .u8(f.down ? 1 : 0)
        .u8(f.buttons)
        .u16(f.x)
        .u16(f.y);
      break;
    case "wheel":
      w.u8(f.monitor).u8(f.buttons).u16(f.x).u16(f.y).i16(f.dx).i16(f.dy);
      break;
    case "text": {
      const text = cut(f.text, maxText);
      w.u16(text.length).bytes(text);
      break;
    }
    case "held": {
      const codes = f.codes.slice(0, maxHeld);
      w.u8(f.buttons).u8(codes.length);
      for (const c of codes) w.u16(c);
      break;
    }
    case "release_all":
      break;
    case "set_locks":
      w.u8(f.locks);
      break;
  }
  return w.done();
}

/** Splits a text into pieces that each fit one Text frame, never inside a character. */
export function textFrames(text: string): readonly InputFrame[] {
  const out: InputFrame[] = [];
  let piece = "";
  let size = 0;
  for (const ch of typable(text)) {
    const n = utf8(ch).length;
    if (size + n > maxText) {
      out.push({ type: "text", text: piece });
      piece = "";
      size = 0;
    }
    piece += ch;
    size += n;
  }
  if (piece !== "") out.push({ type: "text", text: piece });
  return out;
}

/** Returns what of a text can be typed: line feeds and tabs stay, other control characters go. */
export function typable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be typed
  return text.replace(/\r\n?/g, "\n").replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}

/** Every bit of MouseEvent.buttons that the wire knows. */
export const allButtons = 2 ** buttonCount - 1;

/** One frame of the agent. */
export type AgentFrame =
  | {
      readonly type: "cursor_shape";
      readonly seq: number;
      readonly hash: bigint;
      /** Pixels of the device from the picture's upper left corner. */
      readonly hotX: number;
      readonly hotY: number;
      readonly width: number;
      readonly height: number;
      readonly png: Uint8Array<ArrayBuffer>;
    }
  | {
      readonly type: "cursor_use";
      readonly seq: number;
      readonly hash: bigint;
      readonly visible: boolean;
    }
  | ({ readonly type: "cursor_at"; readonly seq: number } & Place)
  | ({ readonly type: "timing"; readonly seq: number } & Timing);

/** Where one picture's time went on the device. */
export interface Timing {
  /** RTP timestamp of the picture. */
  readonly rtp: number;
  /** The newest input frame injected before the capture; 0 is none. */
  readonly inputSeq: number;
  /** Microseconds, as the next three. */
  readonly captureUs: number;
  readonly convertUs: number;
  readonly encodeUs: number;
  readonly queueUs: number;
  readonly key: boolean;
  readonly sharpen: boolean;
}

/** Why a frame was not decoded. */
export type FrameFault = "length" | "type" | "field";

/** Says that the agent sent what is no frame; it must be dropped whole. */
export class FrameError extends Error {
  override name = "FrameError";
  readonly fault: FrameFault;

  constructor(fault: FrameFault) {
    super(`agent frame has a bad ${fault}`);
    this.fault = fault;
  }
}

const sizes: ReadonlyMap<number, readonly [number, number]> = new Map([
  [frameType.cursor_shape, [16, 16 + maxPNG]],
  [frameType.cursor_use, [9, 9]],
  [frameType.cursor_at, [5, 5]],
  [frameType.timing, [25, 25]],
]);

/** Decodes one frame of the agent; throws FrameError. The PNG is a copy. */
export function decodeAgentFrame(buffer: ArrayBuffer): AgentFrame {
  if (buffer.byteLength < headerSize) throw new FrameError("length");
  const v = new DataView(buffer);
  const size = sizes.get(v.getUint8(0));
  if (size === undefined) throw new FrameError("type");
  const body = buffer.byteLength - headerSize;
  if (body < size[0] || body > size[1]) throw new FrameError("length");
  const seq = v.getUint32(1);
  if (seq === 0) throw new FrameError("field");
  const o = headerSize;
  switch (v.getUint8(0)) {
    case frameType.cursor_shape:
      return {
        type: "cursor_shape",
        seq,
        hash: v.getBigUint64(o),
        hotX: v.getUint16(o + 8),
        hotY: v.getUint16(o + 10),
        width: v.getUint16(o + 12),
        height: v.getUint16(o + 14),
        png: new Uint8Array(buffer.slice(o + 16)),
      };
    case frameType.cursor_use:
      if (v.getUint8(o + 8) > 1) throw new FrameError("field");
      return { type: "cursor_use", seq, hash: v.getBigUint64(o), visible: v.getUint8(o + 8) === 1 };
    case frameType.cursor_at:
      return {
        type: "cursor_at",
        seq,
        monitor: v.getUint8(o),
        x: v.getUint16(o + 1),
        y: v.getUint16(o + 3),
      };
    default:
      return {
        type: "timing",
        seq,
        rtp: v.getUint32(o),
        inputSeq: v.getUint32(o + 4),
        captureUs: v.getUint32(o + 8),
        convertUs: v.getUint32(o + 12),
        encodeUs: v.getUint32(o + 16),
        queueUs: v.getUint32(o + 20),
        key: (v.getUint8(o + 24) & 1) !== 0,
        sharpen: (v.getUint8(o + 24) & 2) !== 0,
      };
  }
}

/** Returns at most `limit` bytes of a text's UTF-8, cut between characters. */
function cut(text: string, limit: number): Uint8Array {
  const all = utf8(text);
  if (all.length <= limit) return all;
  let end = limit;
  while (end > 0 && ((all[end] ?? 0) & 0xc0) === 0x80) end--;
  return all.subarray(0, end);
}

class Writer {
  #view: DataView<ArrayBuffer>;
  #at = 0;

  constructor(type: number, seq: number) {
    // KeyDown is at most 41 bytes, Held at most 103; Text grows it.
    this.#view = new DataView(new ArrayBuffer(128));
    this.u8(type).u32(seq);
  }

  u8(n: number): this {
    this.#view.setUint8(this.#at, n);
    this.#at += 1;
    return this;
  }

  u16(n: number): this {
    this.#view.setUint16(this.#at, n);
    this.#at += 2;
    return this;
  }

  i16(n: number): this {
    this.#view.setInt16(this.#at, n);
    this.#at += 2;
    return this;
  }

  u32(n: number): this {
    this.#view.setUint32(this.#at, n);
    this.#at += 4;
    return this;
  }

  bytes(b: Uint8Array): this {
    if (this.#at + b.length > this.#view.byteLength) {
      const bigger = new Uint8Array(this.#at + b.length);
      bigger.set(new Uint8Array(this.#view.buffer, 0, this.#at));
      this.#view = new DataView(bigger.buffer);
    }
    new Uint8Array(this.#view.buffer).set(b, this.#at);
    this.#at += b.length;
    return this;
  }

  done(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#view.buffer, 0, this.#at);
  }
}
