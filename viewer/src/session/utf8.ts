/** UTF-8 for a floor that is compiled without the DOM library. */

interface Encoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
interface Decoder {
  decode(bytes: Uint8Array): string;
}

// Browsers and Node have both classes; the ES library of TypeScript knows neither.
const platform = globalThis as unknown as {
  TextEncoder: new () => Encoder;
  TextDecoder: new (label: string, options: { fatal: boolean }) => Decoder;
};

const encoder = new platform.TextEncoder();
const strict = new platform.TextDecoder("utf-8", { fatal: true });

/** Returns the bytes of a text; unpaired surrogates become U+FFFD. */
export function utf8(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Returns the text of bytes; throws a TypeError when they are not UTF-8. */
export function fromUtf8(bytes: Uint8Array): string {
  return strict.decode(bytes);
}
