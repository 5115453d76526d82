import { describe, expect, test } from "vitest";
import { WireError } from "./fields.ts";
import {
  crumbs,
  decodeBlock,
  decodeFiles,
  encodeBlock,
  joinPath,
  nameBytes,
  nameOf,
  parentOf,
  sameName,
} from "./files.ts";
import { utf8 } from "./utf8.ts";

const say = (type: string, body: unknown) => JSON.stringify({ v: 1, type, body });
const entry = { kind: "file", size: 1, modified_ms: 0, mode: 0o644, owner: "ada", group: "ada" };
const page = (name: unknown) =>
  say("files.page", { job: 1, path: { text: "/" }, entries: [{ ...entry, name }], bytes: 1, free: 1 });

describe("names", () => {
  test("that are plain text go as they are", () => {
    expect(nameOf("Grüße 日本 👩‍💻.txt")).toEqual({ text: "Grüße 日本 👩‍💻.txt" });
    expect(joinPath({ text: "/" }, { text: "home" })).toEqual({ text: "/home" });
    expect(joinPath({ text: "/home" }, { text: "ada" })).toEqual({ text: "/home/ada" });
  });

  test("that would forge what is shown are written out, and lose no byte", () => {
    const n = nameOf("txt.\u202eexe\n");
    expect(n.text).toBe("txt.\\u202eexe\\u000a");
    expect(nameBytes(n)).toEqual(utf8("txt.\u202eexe\n"));
  });

  test("that are no text lose no byte in a path, nor on the way up", () => {
    const latin = { text: "latin\\xfc", raw: "bGF0aW78" };
    const path = joinPath(joinPath({ text: "/home" }, latin), { text: "x" });
    expect(path.text).toBe("/home/latin\\xfc/x");
    expect([...nameBytes(path)]).toEqual([...utf8("/home/latin"), 0xfc, ...utf8("/x")]);
    const all = crumbs(path);
    expect(all.map((c) => c.name.text)).toEqual(["/", "home", "latin\\xfc", "x"]);
    expect(sameName(all[2]?.name ?? { text: "" }, latin)).toBe(true);
    expect([...nameBytes(parentOf(path))]).toEqual([...utf8("/home/latin"), 0xfc]);
    expect(parentOf({ text: "/" })).toEqual({ text: "/" });
  });
});

describe("what a device says of files", () => {
  test("is taken where it is well formed", () => {
    expect(decodeFiles(page({ text: "a" }))?.body).toMatchObject({ entries: [{ name: { text: "a" } }] });
  });

  test("cannot turn the direction of what is shown", () => {
    const m = decodeFiles(page({ text: "txt.\u202eexe" }));
    expect(m?.type === "files.page" && m.body.entries?.[0]?.name.text).toBe("txt.\ufffdexe");
  });

  for (const [why, text] of Object.entries({
    "an empty name": page({ text: "" }),
    "no name": page(undefined),
    "a name in no base64": page({ text: "x", raw: "\0" }),
    "a name that is too long": page({ text: "x", raw: "A".repeat(1000) }),
    "more entries than a page has": say("files.page", {
      job: 1,
      path: { text: "/" },
      entries: Array(513).fill({}),
    }),
    "a time no calendar has": say("files.page", {
      job: 1,
      path: { text: "/" },
      entries: [{ ...entry, name: { text: "x" }, modified_ms: 1e300 }],
    }),
    "a negative offset": say("files.ready", { job: 1, offset: -1 }),
    "an offset that is no number": say("files.ack", { job: 1, offset: "9" }),
  })) {
    test(`is dropped: ${why}`, () => expect(() => decodeFiles(text)).toThrow(WireError));
  }
});

describe("blocks", () => {
  test("are the same bytes as the device's", () => {
    const f = encodeBlock({ job: 7, offset: 2 ** 32, data: utf8("content") });
    expect(Array.from(f, (x) => x.toString(16).padStart(2, "0")).join("")).toBe(
      "01000000070000000100000000636f6e74656e74",
    );
    expect(decodeBlock(f.buffer)).toMatchObject({ job: 7, offset: 2 ** 32, data: utf8("content") });
  });

  for (const [why, bytes] of Object.entries({
    empty: [],
    "without content": [1, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0],
    "of another kind": [2, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 9],
    "past every file": [1, 0, 0, 0, 7, 255, 255, 255, 255, 255, 255, 255, 255, 9],
  })) {
    test(`are refused: ${why}`, () =>
      expect(() => decodeBlock(new Uint8Array(bytes).buffer)).toThrow(WireError));
  }
});
