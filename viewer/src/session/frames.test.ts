import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decodeAgentFrame, encodeFrame, FrameError, type InputFrame, textFrames, typable } from "./frames.ts";

interface Vector {
  readonly name: string;
  readonly from: "viewer" | "helper";
  readonly hex: string;
  readonly error?: string;
  readonly frame?: Readonly<Record<string, unknown>> & { readonly type: string; readonly seq: number };
}

const golden = new URL("../../../signaling/input/testdata/golden.json", import.meta.url);
const vectors = JSON.parse(readFileSync(golden, "utf8")) as Vector[];

const hex = (b: Uint8Array) => Buffer.from(b).toString("hex");
const buffer = (h: string) => new Uint8Array(Buffer.from(h, "hex")).buffer;

describe("golden frames of signaling/input", () => {
  test("there are some", () => expect(vectors.length).toBeGreaterThan(20));

  for (const v of vectors.filter((x) => x.from === "viewer" && x.frame !== undefined)) {
    test(`encodes: ${v.name}`, () => {
      const { seq, ...frame } = v.frame ?? { seq: 0 };
      expect(hex(encodeFrame(seq, frame as unknown as InputFrame))).toBe(v.hex);
    });
  }

  for (const v of vectors.filter((x) => x.from === "helper" && x.frame !== undefined)) {
    test(`decodes: ${v.name}`, () => {
      const got = decodeAgentFrame(buffer(v.hex));
      const want: Record<string, unknown> = {};
      for (const [key, value] of Object.entries(v.frame ?? {})) {
        if (key === "flags") {
          want.key = ((value as number) & 1) !== 0;
          want.sharpen = ((value as number) & 2) !== 0;
        } else if (key === "hash") want.hash = BigInt(value as string);
        else if (key === "png") want.png = new Uint8Array(Buffer.from(value as string, "hex"));
        else want[key.replace(/_(\w)/g, (_, c: string) => c.toUpperCase())] = value;
      }
      expect(got).toEqual(want);
    });
  }

  for (const v of vectors.filter((x) => x.from === "helper" && x.error !== undefined)) {
    test(`refuses: ${v.name}`, () => {
      try {
        decodeAgentFrame(buffer(v.hex));
        expect.unreachable();
      } catch (e) {
        expect(e).toBeInstanceOf(FrameError);
        expect((e as FrameError).fault).toBe(v.error);
      }
    });
  }
});

test("a text is cut between characters, never over the limit", () => {
  const frames = textFrames(`${"ä".repeat(2047)}🙂end`);
  expect(frames.map((f) => (f.type === "text" ? f.text.length : 0))).toEqual([2047, 5]);
  const key = encodeFrame(1, { type: "key_down", code: 4, mods: 0, text: "🙂".repeat(9) });
  expect(key.length).toBe(5 + 4 + 32);
});

test("control characters are not typed, line ends are line feeds", () => {
  expect(typable("a\r\nb\tc\u001b[31m\u0085\u007fd\rf")).toBe("a\nb\tc[31md\nf");
});
