import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { ClipboardReceiver, maxClipboard, splitClipboard } from "./clip.ts";

const golden = new URL("../../../signaling/clip/testdata/frames.json", import.meta.url);
const vectors = JSON.parse(readFileSync(golden, "utf8")) as { name: string; hex: string; text?: string }[];
const bytes = (name: string) => {
  const v = vectors.find((x) => x.name === name);
  if (v === undefined) throw new Error(`no vector ${name}`);
  return new Uint8Array(Buffer.from(v.hex, "hex"));
};

test("golden: a refusal is read, an offer and its end are written as Go does", () => {
  expect(new ClipboardReceiver().receive(bytes("refused").buffer)).toEqual({
    kind: "refused",
    reason: "not granted",
  });
  const frames = splitClipboard(7, "Grüße, 11!");
  expect(Buffer.from(frames?.[0] ?? []).toString("hex")).toBe(
    Buffer.from(bytes("offer")).toString("hex").replace("0000000b", "0000000c"),
  );
  expect(frames?.at(-1)).toEqual(bytes("end"));
});

test("a text arrives as it was sent, in pieces", () => {
  const text = "🙂ä\n".repeat(20_000);
  const r = new ClipboardReceiver();
  const events = (splitClipboard(1, text) ?? []).map((f) => r.receive(f.slice().buffer));
  expect(events.at(-1)).toEqual({ kind: "text", text });
  expect(events.slice(0, -1).every((e) => e.kind === "nothing")).toBe(true);
});

test("an empty text is a text", () => {
  const r = new ClipboardReceiver();
  const events = (splitClipboard(1, "") ?? []).map((f) => r.receive(f.slice().buffer));
  expect(events).toEqual([{ kind: "nothing" }, { kind: "text", text: "" }]);
});

test("too long a text is not sent", () => {
  expect(splitClipboard(1, "a".repeat(maxClipboard))).not.toBeNull();
  expect(splitClipboard(1, "ä".repeat(maxClipboard / 2 + 1))).toBeNull();
});

test("a hostile sender gets nothing through", () => {
  const r = new ClipboardReceiver();
  const frame = (...b: number[]) => new Uint8Array(b).buffer;
  expect(r.receive(frame(1, 0, 0)).kind).toBe("broken");
  expect(r.receive(frame(9, 0, 0, 0, 1)).kind).toBe("broken");
  // An offer of 2 GiB, and one whose type is longer than the frame.
  expect(r.receive(frame(1, 0, 0, 0, 1, 0x80, 0, 0, 0, 0)).kind).toBe("broken");
  expect(r.receive(frame(1, 0, 0, 0, 1, 0, 0, 0, 1, 200, 65)).kind).toBe("broken");
  // More than was offered, and less.
  const [offer, chunk, end] = splitClipboard(5, "abc") ?? [];
  const twice = [offer, chunk, chunk].map((f) => r.receive((f ?? new Uint8Array()).slice().buffer).kind);
  expect(twice).toEqual(["nothing", "nothing", "broken"]);
  expect([offer, end].map((f) => r.receive((f ?? new Uint8Array()).slice().buffer).kind)).toEqual([
    "nothing",
    "broken",
  ]);
});
