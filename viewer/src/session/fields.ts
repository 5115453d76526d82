/**
 * Takes apart what a device says, field by field: every list and text is bounded, every number is one.
 * The decoders of the control channel (`envelope.ts`) and of the tools are made of these.
 */
import { version } from "./wire.gen.ts";

/** Says why a frame is not a message. The frame must be dropped whole. */
export class WireError extends Error {
  override name = "WireError";
}

/** An object of JSON whose fields nobody has looked at yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** Returns the envelope in a text; its body is not looked at yet. */
export function parse(text: string): { type: string; body: Fields; id?: string; re?: string } {
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

/** Whether a value is an object with fields. */
export function isFields(x: unknown): x is Fields {
  return typeof x === "object" && x !== null && !Array.isArray(x);
}

/** A missing text is empty, a text over `limit` UTF-16 units is cut. */
export function string(b: Fields, name: string, limit: number): string {
  const v = b[name];
  return typeof v === "string" ? v.slice(0, limit) : "";
}

/** A finite number, or the message is none. */
export function number(b: Fields, name: string): number {
  const v = b[name];
  if (typeof v !== "number" || !Number.isFinite(v)) throw new WireError(`${name} is not a number`);
  return v;
}

/** A whole number between the two, or the message is none. */
export function integer(b: Fields, name: string, least: number, most: number): number {
  const v = number(b, name);
  if (!Number.isInteger(v) || v < least || v > most) throw new WireError(`${name} is ${v}`);
  return v;
}

/** Objects, at most `limit`, or the message is none; a missing list is empty. */
export function list(b: Fields, name: string, limit: number): readonly Fields[] {
  const v = b[name];
  if (v === undefined || v === null) return [];
  if (!Array.isArray(v) || v.length > limit || !v.every(isFields)) {
    throw new WireError(`${name} is not a list of at most ${limit}`);
  }
  return v;
}

/** Texts, at most `limit`, each cut to `length` UTF-16 units; a missing list is empty. */
export function strings(b: Fields, name: string, limit: number, length: number): readonly string[] {
  const v = b[name] ?? [];
  if (!Array.isArray(v) || v.length > limit) throw new WireError(`${name} is not a list of at most ${limit}`);
  return v.map((text) => (typeof text === "string" ? text.slice(0, length) : ""));
}

/** Finite numbers, at most `limit`, or the message is none. */
export function numbers(b: Fields, name: string, limit: number): readonly number[] {
  const v = b[name];
  if (!Array.isArray(v) || v.length > limit || !v.every((n) => typeof n === "number" && Number.isFinite(n))) {
    throw new WireError(`${name} is not a list of numbers`);
  }
  return v;
}
