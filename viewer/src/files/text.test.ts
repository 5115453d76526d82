import { expect, test } from "vitest";
import { decodeText, encodeText } from "./text.ts";

const of = (...bytes: number[]) => Uint8Array.from(bytes);

test("a text is written back as it was", () => {
  for (const encoding of ["UTF-8", "UTF-8 with mark", "UTF-16 LE", "UTF-16 BE"] as const) {
    const bytes = encodeText("Grüße\r\n日本 👩‍💻", encoding);
    expect(decodeText(bytes, false)).toEqual({ text: "Grüße\r\n日本 👩‍💻", encoding, editable: true });
    expect(encodeText("Grüße\r\n日本 👩‍💻", encoding)).toEqual(bytes);
  }
});

test("what could not be written back is only shown", () => {
  expect(decodeText(of(0x66, 0xfc, 0x72), false)).toEqual({
    text: "für",
    encoding: "Windows-1252",
    editable: false,
  });
  expect(decodeText(new TextEncoder().encode("ü").subarray(0, 1), true)).toMatchObject({
    text: "",
    editable: false,
  });
});

test("bytes that are no text are none", () => {
  expect(decodeText(of(0x7f, 0x45, 0x4c, 0x46, 0, 0), false)).toBeNull();
});
