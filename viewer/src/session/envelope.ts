/**
 * The JSON envelope of the socket and of the text frames on the control channel.
 *
 * The gateway checks what it forwards; a device is hostile, so what comes over a data channel is
 * rebuilt field by field in `decodeHelper`, with every list and text bounded.
 */
import { type Fields, integer, list, number, parse, string, WireError } from "./fields.ts";
import {
  type Bodies,
  type Capability,
  fromGateway,
  fromHelper,
  type MessageType,
  type Monitor,
  maxChannel,
  maxMessage,
  type PictureState,
  type Viewer,
  version,
} from "./wire.gen.ts";

/** A message as it came: the body belongs to the type. */
export type Message<T extends MessageType = MessageType> = {
  [K in T]: { readonly type: K; readonly body: Bodies[K]; readonly id?: string; readonly re?: string };
}[T];

/** Returns the JSON of one message. `id` is set when an answer or a refusal should name it. */
export function encode<T extends MessageType>(type: T, body: Bodies[T], id?: string): string {
  return JSON.stringify(id === undefined ? { v: version, type, body } : { v: version, type, id, body });
}

const gatewayTypes: ReadonlySet<string> = new Set(fromGateway);
const helperTypes: ReadonlySet<string> = new Set(fromHelper);

/** Reads a message of the gateway. An unknown type gives null: a newer gateway may know more. */
export function decodeGateway(text: string): Message<(typeof fromGateway)[number]> | null {
  if (text.length > maxMessage) throw new WireError("message over the size limit");
  const e = parse(text);
  if (!gatewayTypes.has(e.type)) return null;
  return {
    type: e.type,
    body: e.body,
    ...(e.id === undefined ? {} : { id: e.id }),
    ...(e.re === undefined ? {} : { re: e.re }),
  } as unknown as Message<(typeof fromGateway)[number]>;
}

/** What the agent may say over the control channel. */
export type HelperMessage = Message<
  "status" | "monitors" | "picture" | "control.asked" | "say" | "ping" | "pong"
>;

/** Reads a message of the agent, distrusting all of it. An unknown type gives null. */
export function decodeHelper(text: string): HelperMessage | null {
  if (text.length > maxChannel) throw new WireError("message over the size limit");
  const { type, body: b } = parse(text);
  if (!helperTypes.has(type)) return null;
  switch (type as HelperMessage["type"]) {
    case "status":
      return {
        type: "status",
        body: {
          you: string(b, "you", 64),
          granted: capabilities(b, "granted"),
          may: capabilities(b, "may"),
          paused: b.paused === true,
          control: string(b, "control", 64),
          viewers: list(b, "viewers", 64).map(viewer),
        },
      };
    case "monitors":
      return {
        type: "monitors",
        body: { monitors: list(b, "monitors", 64).map(monitor), selected: integer(b, "selected", 0, 255) },
      };
    case "picture":
      return {
        type: "picture",
        body: {
          state: pictureState(b.state),
          codec: string(b, "codec", 32),
          width: integer(b, "width", 0, 65535),
          height: integer(b, "height", 0, 65535),
          message: string(b, "message", 4096),
        },
      };
    case "control.asked":
      return { type: "control.asked", body: viewer(b) };
    case "say":
      return {
        type: "say",
        body: {
          code: string(b, "code", 32) as Bodies["say"]["code"],
          message: string(b, "message", 4096),
          what: string(b, "what", 64),
        },
      };
    case "ping":
      return { type: "ping", body: { t: number(b, "t") } };
    case "pong":
      return { type: "pong", body: { t: number(b, "t") } };
    default:
      return null; // a tool's, which belongs on its own channel
  }
}

/** How the bodies of a tool's messages are taken apart, by type. Throws WireError. */
export type Decoders<T extends MessageType> = { readonly [K in T]: (body: Fields) => Bodies[K] };

/**
 * Returns what reads a tool's messages, distrusting all of them: it throws WireError for what is none
 * and returns null for a type that is not in the table, as a newer device may know more.
 */
export function decoderOf<T extends MessageType>(of: Decoders<T>): (text: string) => Message<T> | null {
  const known = new Map<string, (body: Fields) => unknown>(Object.entries(of) as []);
  return (text) => {
    if (text.length > maxChannel) throw new WireError("message over the size limit");
    const { type, body, re } = parse(text);
    const read = known.get(type);
    if (read === undefined) return null;
    return { type, body: read(body), ...(re === undefined ? {} : { re }) } as unknown as Message<T>;
  };
}

const knownCapabilities: readonly Capability[] = [
  "view",
  "control",
  "clipboard",
  "files",
  "terminal",
  "root",
  "diagnostics",
  "power",
  "record",
];

function capabilities(b: Fields, name: string): readonly Capability[] {
  const v = b[name];
  return Array.isArray(v) ? knownCapabilities.filter((c) => v.includes(c)) : [];
}

const pictureStates: readonly PictureState[] = ["ok", "paused", "no_display", "failed"];

/** A state this page does not know shows no picture, whatever else it means. */
function pictureState(v: unknown): PictureState {
  return pictureStates.find((s) => s === v) ?? "failed";
}

function viewer(b: Fields): Viewer {
  return { peer: string(b, "peer", 64), name: string(b, "name", 256) };
}

function monitor(b: Fields): Monitor {
  return {
    id: integer(b, "id", 1, 255),
    name: string(b, "name", 256),
    x: integer(b, "x", -(2 ** 31), 2 ** 31 - 1),
    y: integer(b, "y", -(2 ** 31), 2 ** 31 - 1),
    width: integer(b, "width", 1, 65535),
    height: integer(b, "height", 1, 65535),
    primary: b.primary === true,
  };
}
