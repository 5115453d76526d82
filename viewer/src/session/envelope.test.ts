import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  decodeFindings,
  decodeJournal,
  decodeMachine,
  decodeNet,
  decodeProcess,
  decodeService,
  decodeSpace,
} from "./diagnostics.ts";
import { decodeGateway, decodeHelper, encode } from "./envelope.ts";
import { WireError } from "./fields.ts";
import { decodeFiles } from "./files.ts";
import { decodeTerminal } from "./terminal.ts";
import { decodeVitals } from "./vitals.ts";
import type { Bodies, MessageType } from "./wire.gen.ts";

interface Vector {
  readonly name: string;
  readonly from: "agent" | "gateway" | "browser" | "viewer" | "helper";
  readonly frame: string;
  readonly error?: string;
}

const golden = new URL("../../../signaling/testdata/golden.json", import.meta.url);
const vectors = JSON.parse(readFileSync(golden, "utf8")) as Vector[];

/** Every reader of what a device says. */
const decoders = [
  decodeFiles,
  decodeFindings,
  decodeJournal,
  decodeMachine,
  decodeNet,
  decodeProcess,
  decodeService,
  decodeSpace,
  decodeHelper,
  decodeTerminal,
  decodeVitals,
];

describe("golden messages of signaling", () => {
  for (const v of vectors.filter((x) => x.error === undefined)) {
    const m = JSON.parse(v.frame) as { type: MessageType; id?: string; body: Bodies[MessageType] };
    if (v.from === "browser" || v.from === "viewer") {
      test(`encodes: ${v.name}`, () => {
        expect(JSON.parse(encode(m.type, m.body, m.id))).toEqual(JSON.parse(v.frame));
      });
    } else if (v.from === "gateway") {
      test(`decodes: ${v.name}`, () => expect({ v: 1, ...decodeGateway(v.frame) }).toEqual(m));
    } else if (v.from === "helper") {
      test(`decodes: ${v.name}`, () => {
        // Its picture is in a state nobody knows.
        const body = m.type === "picture" ? { ...m.body, state: "failed" } : m.body;
        const read = decoders.map((decode) => decode(v.frame)).filter((x) => x !== null);
        expect(read).toEqual([{ type: m.type, body }]);
      });
    }
  }

  for (const name of ["cut off", "not an object", "two values", "no version", "newer version"]) {
    test(`refuses: ${name}`, () => {
      const frame = vectors.find((v) => v.name === name)?.frame ?? "";
      expect(frame).not.toBe("");
      expect(() => decodeHelper(frame)).toThrow(WireError);
      expect(() => decodeGateway(frame)).toThrow(WireError);
    });
  }
});

const say = (type: string, body: unknown, v = 1) => JSON.stringify({ v, type, body });

test("encodes what the Go side decodes", () => {
  expect(JSON.parse(encode("control.give", { peer: "peer_a" }))).toEqual({
    v: 1,
    type: "control.give",
    body: { peer: "peer_a" },
  });
  expect(JSON.parse(encode("session.join", { session: "ses_a" }, "7")).id).toBe("7");
});

test("an unknown type is nobody's fault, a newer version and garbage are", () => {
  expect(decodeGateway(say("dance", {}))).toBeNull();
  expect(decodeGateway(say("hello", {}))).toBeNull();
  expect(decodeHelper(say("session.state", {}))).toBeNull();
  for (const bad of ["", "{", "[]", "null", say("status", {}, 2), '{"type":"status"}', '{"v":1}']) {
    expect(() => decodeHelper(bad), bad).toThrow(WireError);
  }
  expect(() => decodeHelper(`"${"a".repeat(70_000)}"`)).toThrow(WireError);
});

describe("a hostile device", () => {
  test("cannot bring wrong types into the page", () => {
    const m = decodeHelper(
      say("status", {
        you: 7,
        granted: ["control", "wizard", 3],
        may: "all",
        paused: "yes",
        control: null,
        viewers: null,
      }),
    );
    expect(m?.body).toEqual({
      you: "",
      granted: ["control"],
      may: [],
      paused: false,
      control: "",
      viewers: [],
    });
  });

  test("cannot bring long lists or texts", () => {
    expect(() => decodeHelper(say("monitors", { monitors: new Array(65).fill({}), selected: 0 }))).toThrow(
      WireError,
    );
    const m = decodeHelper(say("say", { code: "busy", message: "m".repeat(9000) }));
    expect(m?.type === "say" && m.body.message.length).toBe(4096);
  });

  test("cannot invent monitors without size, or show a picture in an unknown state", () => {
    const monitor = { id: 1, name: "a", x: 0, y: -1080, width: 1920, height: 1080, primary: true };
    expect(decodeHelper(say("monitors", { monitors: [monitor], selected: 1 }))?.body).toEqual({
      monitors: [monitor],
      selected: 1,
    });
    for (const bad of [{ width: 0 }, { id: 0 }, { id: 1.5 }, { x: "0" }, { height: 1e9 }]) {
      expect(() =>
        decodeHelper(say("monitors", { monitors: [{ ...monitor, ...bad }], selected: 1 })),
      ).toThrow(WireError);
    }
    const picture = decodeHelper(say("picture", { state: "fine", codec: "vp8", width: 1, height: 1 }));
    expect(picture?.type === "picture" && picture.body.state).toBe("failed");
  });
});
