/** Text out of bytes and back, without losing any: what cannot be written back the same is only shown. */

/** How a text is written as bytes. */
export type Encoding = "UTF-8" | "UTF-8 with mark" | "UTF-16 LE" | "UTF-16 BE" | "Windows-1252";

/** What bytes turned out to be. */
export interface Decoded {
  readonly text: string;
  readonly encoding: Encoding;
  /** It can be written back as it was. */
  readonly editable: boolean;
}

function tried(label: string, bytes: Uint8Array): string | null {
  try {
    return new TextDecoder(label, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

const marked = (b: Uint8Array, ...mark: number[]) => mark.every((x, i) => b[i] === x);

/** Reads bytes as text; null when they are none. `cut` says that more follow, which are not here. */
export function decodeText(bytes: Uint8Array, cut: boolean): Decoded | null {
  const be = marked(bytes, 0xfe, 0xff);
  if (be || marked(bytes, 0xff, 0xfe)) {
    const even = bytes.subarray(2, bytes.length - (bytes.length % 2));
    const text = tried(be ? "utf-16be" : "utf-16le", even);
    return text === null ? null : { text, encoding: be ? "UTF-16 BE" : "UTF-16 LE", editable: !cut };
  }
  if (bytes.includes(0)) return null;
  const withMark = marked(bytes, 0xef, 0xbb, 0xbf);
  let body = withMark ? bytes.subarray(3) : bytes;
  // A cut may go through a character: up to three bytes of it are left out.
  for (let n = 0; n < (cut ? 4 : 1); n++, body = body.subarray(0, -1)) {
    const text = tried("utf-8", body);
    if (text !== null) return { text, encoding: withMark ? "UTF-8 with mark" : "UTF-8", editable: !cut };
  }
  return { text: new TextDecoder("windows-1252").decode(bytes), encoding: "Windows-1252", editable: false };
}

/** Writes a text as it was written before. */
export function encodeText(text: string, encoding: Encoding): Uint8Array<ArrayBuffer> {
  switch (encoding) {
    case "UTF-16 LE":
    case "UTF-16 BE": {
      const out = new DataView(new ArrayBuffer(2 + text.length * 2));
      const little = encoding === "UTF-16 LE";
      out.setUint16(0, 0xfeff, little);
      for (let i = 0; i < text.length; i++) out.setUint16(2 + i * 2, text.charCodeAt(i), little);
      return new Uint8Array(out.buffer);
    }
    case "UTF-8 with mark":
      return new TextEncoder().encode(`\ufeff${text}`);
    default:
      return new TextEncoder().encode(text);
  }
}
