import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { WireError } from "./fields.ts";
import { decodeTerminalFrame, inputFrame, maxTerminalBytes, shownFrame } from "./terminal.ts";

interface Vector {
  readonly name: string;
  readonly hex: string;
  readonly kind: number;
  readonly bytes?: string;
  readonly shown?: number;
}

const golden = new URL("../../../signaling/shell/testdata/golden.json", import.meta.url);
const vectors = JSON.parse(readFileSync(golden, "utf8")) as Vector[];
const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (h) => Number.parseInt(h, 16));

describe("frames of a terminal", () => {
  for (const v of vectors) {
    test(v.name, () => {
      const b = bytesOf(v.hex);
      if (v.kind === 0) {
        expect(() => decodeTerminalFrame(b.buffer)).toThrow(WireError);
        return;
      }
      const f = decodeTerminalFrame(b.buffer);
      if (f.kind === "shown") {
        expect(f.shown).toBe(v.shown);
        expect(shownFrame(f.shown)).toEqual(b);
        return;
      }
      expect(f.kind).toBe(v.kind === 1 ? "input" : "output");
      expect(new TextDecoder().decode(f.bytes)).toBe(v.bytes);
      if (f.kind === "input") expect(inputFrame(f.bytes)).toEqual(b);
    });
  }

  test("larger than a frame may be", () => {
    const b = new Uint8Array(maxTerminalBytes + 2).fill(3);
    expect(() => decodeTerminalFrame(b.buffer)).toThrow(WireError);
  });
});
