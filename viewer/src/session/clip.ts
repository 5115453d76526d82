/** The frames of the clipboard channel: splits a text to send, puts one together that comes. */
import { fromUtf8, utf8 } from "./utf8.ts";

const offer = 0x01;
const chunk = 0x02;
const end = 0x03;
const refused = 0x04;

const headerLength = 5;
const maxChunk = 16 << 10;
const maxReason = 256;
const mimeText = "text/plain;charset=utf-8";

/** The most one clipboard text may take, in bytes of UTF-8. */
export const maxClipboard = 1 << 20;

/** Returns the frames that carry a text, or null when it is over `maxClipboard`. */
export function splitClipboard(transfer: number, text: string): readonly Uint8Array<ArrayBuffer>[] | null {
  const content = utf8(text.replace(/\r\n?/g, "\n"));
  if (content.length > maxClipboard) return null;
  const mime = utf8(mimeText);
  const head = frame(offer, transfer, 5 + mime.length);
  new DataView(head.buffer).setUint32(headerLength, content.length);
  head[headerLength + 4] = mime.length;
  head.set(mime, headerLength + 5);
  const out = [head];
  for (let at = 0; at < content.length; at += maxChunk) {
    const piece = content.subarray(at, at + maxChunk);
    const f = frame(chunk, transfer, piece.length);
    f.set(piece, headerLength);
    out.push(f);
  }
  out.push(frame(end, transfer, 0));
  return out;
}

function frame(type: number, transfer: number, body: number): Uint8Array<ArrayBuffer> {
  const f = new Uint8Array(headerLength + body);
  f[0] = type;
  new DataView(f.buffer).setUint32(1, transfer);
  return f;
}

/** What a frame led to. */
export type ClipboardEvent =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "nothing" }
  /** The other end broke the rules; what it was sending is dropped. */
  | { readonly kind: "broken" };

/** Puts the device's texts together; holds at most one, of at most `maxClipboard` bytes. */
export class ClipboardReceiver {
  #transfer: number | null = null;
  #got = new Uint8Array(0);
  #filled = 0;

  /** Takes one frame. */
  receive(buffer: ArrayBuffer): ClipboardEvent {
    if (buffer.byteLength < headerLength) return this.#broken();
    const v = new DataView(buffer);
    const transfer = v.getUint32(1);
    const body = new Uint8Array(buffer, headerLength);
    switch (v.getUint8(0)) {
      case offer:
        return this.#offer(transfer, v, body);
      case chunk:
        if (body.length === 0 || body.length > maxChunk) return this.#broken();
        if (transfer !== this.#transfer) return { kind: "nothing" };
        if (this.#filled + body.length > this.#got.length) return this.#broken();
        this.#got.set(body, this.#filled);
        this.#filled += body.length;
        return { kind: "nothing" };
      case end:
        return this.#end(transfer, body);
      case refused:
        return this.#refused(body);
      default:
        return this.#broken();
    }
  }

  #offer(transfer: number, v: DataView, body: Uint8Array): ClipboardEvent {
    this.#transfer = null;
    if (body.length < 5 || body.length !== 5 + (body[4] ?? 0)) return this.#broken();
    const total = v.getUint32(headerLength);
    if (total > maxClipboard) return this.#broken();
    if (text(body.subarray(5)) !== mimeText) return this.#broken();
    this.#transfer = transfer;
    this.#got = new Uint8Array(total);
    this.#filled = 0;
    return { kind: "nothing" };
  }

  #end(transfer: number, body: Uint8Array): ClipboardEvent {
    if (body.length !== 0) return this.#broken();
    if (transfer !== this.#transfer) return { kind: "nothing" };
    const whole = this.#filled === this.#got.length ? text(this.#got) : null;
    this.#transfer = null;
    return whole === null ? this.#broken() : { kind: "text", text: whole };
  }

  #refused(body: Uint8Array): ClipboardEvent {
    const reason = body.length > maxReason ? null : text(body);
    return reason === null ? this.#broken() : { kind: "refused", reason };
  }

  #broken(): ClipboardEvent {
    this.#transfer = null;
    return { kind: "broken" };
  }
}

function text(bytes: Uint8Array): string | null {
  try {
    return fromUtf8(bytes);
  } catch {
    return null;
  }
}
