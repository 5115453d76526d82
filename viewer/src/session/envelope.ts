/**
 * The JSON envelope of the socket and of the text frames on the control channel.
 *
 * The gateway checks what it forwards; a device is hostile, so what comes over a data channel is
 * rebuilt field by field in `decodeHelper`, with every list and text bounded.
 */
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
  type Vitals,
  type VitalsParts,
  version,
} from "./wire.gen.ts";

/** A message as it came: the body belongs to the type. */
export type Message<T extends MessageType = MessageType> = {
  [K in T]: { readonly type: K; readonly body: Bodies[K]; readonly id?: string; readonly re?: string };
}[T];

/** Says why a frame is not a message. The frame must be dropped whole. */
export class WireError extends Error {
  override name = "WireError";
}

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
export type HelperMessage = Message<(typeof fromHelper)[number]>;

/** Reads a message of the agent, distrusting all of it. An unknown type gives null. */
export function decodeHelper(text: string): HelperMessage | null {
  if (text.length > maxChannel) throw new WireError("message over the size limit");
  const { type, body: b } = parse(text);
  if (!helperTypes.has(type)) return null;
  switch (type as (typeof fromHelper)[number]) {
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
    case "vitals.parts":
      return { type: "vitals.parts", body: vitalsParts(b) };
    case "vitals":
      return { type: "vitals", body: vitals(b) };
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parse(text: string): { type: string; body: Fields; id?: string; re?: string } {
  let e: unknown;
  try {
    e = JSON.parse(text);
  } catch {
    throw new WireError("not JSON");
  }
  if (!isFields(e)) throw new WireError("not an envelope");
  if (typeof e.v !== "number" || e.v < 1) throw new WireError("no protocol version");
  if (e.v > version) throw new WireError(`protocol version ${e.v}; this page knows ${version}`);
  if (typeof e.type !== "string") throw new WireError("no message type");
  return {
    type: e.type,
    body: isFields(e.body) ? e.body : {},
    ...(typeof e.id === "string" ? { id: e.id } : {}),
    ...(typeof e.re === "string" ? { re: e.re } : {}),
  };
}

function isFields(x: unknown): x is Fields {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}

/** A missing text is empty, a text over `limit` UTF-16 units is cut. */
function string(b: Fields, name: string, limit: number): string {
  const v = b[name];
  return typeof v === "string" ? v.slice(0, limit) : "";
}

function number(b: Fields, name: string): number {
  const v = b[name];
  if (typeof v !== "number" || !Number.isFinite(v)) throw new WireError(`${name} is not a number`);
  return v;
}

function integer(b: Fields, name: string, least: number, most: number): number {
  const v = number(b, name);
  if (!Number.isInteger(v) || v < least || v > most) throw new WireError(`${name} is ${v}`);
  return v;
}

function list(b: Fields, name: string, limit: number): readonly Fields[] {
  const v = b[name];
  if (v === undefined || v === null) return [];
  if (!Array.isArray(v) || v.length > limit || !v.every(isFields)) {
    throw new WireError(`${name} is not a list of at most ${limit}`);
  }
  return v;
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

const mostParts = 256;

function vitalsParts(b: Fields): VitalsParts {
  return {
    cores: integer(b, "cores", 0, 4096),
    memory_bytes: number(b, "memory_bytes"),
    swap_bytes: number(b, "swap_bytes"),
    disks: strings(b, "disks"),
    volumes: list(b, "volumes", mostParts).map((v) => ({
      mount: string(v, "mount", 4096),
      bytes: number(v, "bytes"),
    })),
    networks: strings(b, "networks"),
    sensors: strings(b, "sensors"),
    pressure: b.pressure === true,
    battery: b.battery === true,
  };
}

function vitals(b: Fields): Vitals {
  const stall = isFields(b.pressure) ? b.pressure : null;
  const battery = isFields(b.battery) ? b.battery : null;
  return {
    time_ms: number(b, "time_ms"),
    cores: numbers(b, "cores", 4096),
    load: numbers(b, "load", 3),
    memory: number(b, "memory"),
    swap: number(b, "swap"),
    ...(stall && {
      pressure: { cpu: number(stall, "cpu"), memory: number(stall, "memory"), io: number(stall, "io") },
    }),
    disks: list(b, "disks", mostParts).map((d) => ({
      read: number(d, "read"),
      write: number(d, "write"),
      busy: number(d, "busy"),
      wait: number(d, "wait"),
    })),
    volumes: numbers(b, "volumes", mostParts),
    networks: list(b, "networks", mostParts).map((n) => ({ in: number(n, "in"), out: number(n, "out") })),
    sensors: numbers(b, "sensors", mostParts),
    ...(battery && {
      battery: { charge: number(battery, "charge"), charging: battery.charging === true },
    }),
  };
}

function strings(b: Fields, name: string): readonly string[] {
  const v = b[name];
  if (!Array.isArray(v) || v.length > mostParts) throw new WireError(`${name} is not a list`);
  return v.map((text) => (typeof text === "string" ? text.slice(0, 128) : ""));
}

function numbers(b: Fields, name: string, limit: number): readonly number[] {
  const v = b[name];
  if (!Array.isArray(v) || v.length > limit || !v.every((n) => typeof n === "number" && Number.isFinite(n))) {
    throw new WireError(`${name} is not a list of numbers`);
  }
  return v;
}
