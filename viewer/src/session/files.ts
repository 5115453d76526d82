/**
 * What the tool "files" says, and the blocks of files' content. The names of a device may be any bytes:
 * where they are no plain text, `raw` has them in base64 and `text` only shows them.
 */
import { decoderOf, type Message } from "./envelope.ts";
import { type Fields, integer, isFields, list, number, string, WireError } from "./fields.ts";
import { fromUtf8, utf8 } from "./utf8.ts";
import type {
  FileEntry,
  FileFault,
  FileKind,
  FileName,
  FilePlace,
  FilesAck,
  FilesDone,
  FilesFailed,
  FilesHello,
  FilesMeta,
  FilesPage,
  FilesProgress,
  FilesReady,
} from "./wire.gen.ts";

/** What comes over the channel of "files", but for blocks. */
export type FilesMessage = Message<
  | "files.hello"
  | "files.page"
  | "files.meta"
  | "files.ready"
  | "files.ack"
  | "files.progress"
  | "files.done"
  | "files.failed"
>;

/** Bytes that a name, and a path, may have on a device. */
export const maxName = 255;
const maxPath = 4095;
const mostEntries = 512;
const mostPlaces = 64;
const maxMs = 8.64e15; // what a Date can hold

// Browsers and Node have both; the ES library of TypeScript knows neither.
const platform = globalThis as unknown as { atob(s: string): string; btoa(s: string): string };

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const s = platform.atob(text);
  const out = new Uint8Array(s.length);
  for (let i = 0; i < s.length; i++) out[i] = s.charCodeAt(i);
  return out;
}

function toBase64(bytes: Uint8Array): string {
  let s = "";
  for (const b of bytes) s += String.fromCharCode(b);
  return platform.btoa(s);
}

/** Returns the bytes of a name as the device has it. */
export function nameBytes(n: FileName): Uint8Array<ArrayBuffer> {
  return n.raw ? fromBase64(n.raw) : utf8(n.text);
}

/** What a name may not show: control characters, those that turn the direction, halves of pairs. */
const unprintable = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|(?![\u200c\u200d])\p{Cf}/gu;

/** Returns the name for a text, as of a file of this computer. */
export function nameOf(text: string): FileName {
  const shown = text.replace(
    unprintable,
    (c) => `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
  );
  return shown === text ? { text } : { text: shown, raw: toBase64(utf8(text)) };
}

/** Whether two names are the same to the device. */
export function sameName(a: FileName, b: FileName): boolean {
  return nameKey(a) === nameKey(b);
}

/** A text that is the same for the same name only. */
export function nameKey(n: FileName): string {
  return n.raw ? `\0${n.raw}` : n.text;
}

/** Returns the path of a name in a folder. */
export function joinPath(folder: FileName, name: FileName): FileName {
  const text = folder.text === "/" ? `/${name.text}` : `${folder.text}/${name.text}`;
  if (!folder.raw && !name.raw) return { text };
  const a = folder.text === "/" && !folder.raw ? new Uint8Array(0) : nameBytes(folder);
  const b = nameBytes(name);
  const whole = new Uint8Array(a.length + 1 + b.length);
  whole.set(a);
  whole[a.length] = 0x2f;
  whole.set(b, a.length + 1);
  return { text, raw: toBase64(whole) };
}

/** Takes a path apart: every folder on the way from the root, with the name it has in the one above. */
export function crumbs(path: FileName): readonly { readonly name: FileName; readonly path: FileName }[] {
  const out = [{ name: { text: "/" }, path: { text: "/" } as FileName }];
  let at: FileName = { text: "/" };
  for (const part of split(nameBytes(path))) {
    const name = ofBytes(part);
    at = joinPath(at, name);
    out.push({ name, path: at });
  }
  return out;
}

/** The folder that a path is in; of the root, the root. */
export function parentOf(path: FileName): FileName {
  return crumbs(path).at(-2)?.path ?? { text: "/" };
}

function split(bytes: Uint8Array): readonly Uint8Array[] {
  const out: Uint8Array[] = [];
  let from = 0;
  for (let i = 0; i <= bytes.length; i++) {
    if (i < bytes.length && bytes[i] !== 0x2f) continue;
    if (i > from) out.push(bytes.subarray(from, i));
    from = i + 1;
  }
  return out;
}

function ofBytes(bytes: Uint8Array): FileName {
  try {
    return nameOf(fromUtf8(bytes));
  } catch {
    let text = "";
    for (const b of bytes)
      text += b > 0x1f && b < 0x7f ? String.fromCharCode(b) : `\\x${b.toString(16).padStart(2, "0")}`;
    return { text, raw: toBase64(bytes) };
  }
}

function fileName(v: unknown, limit: number): FileName {
  if (!isFields(v)) throw new WireError("a name is missing");
  const text = string(v, "text", 4 * limit).replace(unprintable, "\ufffd");
  if (v.raw === undefined) {
    if (text === "") throw new WireError("a name is empty");
    return { text };
  }
  if (
    typeof v.raw !== "string" ||
    v.raw.length > Math.ceil(limit / 3) * 4 ||
    !/^[A-Za-z0-9+/]+=*$/.test(v.raw)
  ) {
    throw new WireError("a name is not base64");
  }
  return { text, raw: v.raw };
}

function entry(b: Fields): FileEntry {
  return {
    name: fileName(b.name, maxName),
    kind: string(b, "kind", 16) as FileKind,
    size: number(b, "size"),
    modified_ms: integer(b, "modified_ms", -maxMs, maxMs),
    mode: integer(b, "mode", 0, 0o7777),
    owner: string(b, "owner", 256),
    group: string(b, "group", 256),
    ...(b.target === undefined ? {} : { target: fileName(b.target, maxPath) }),
    ...(b.target_kind === undefined ? {} : { target_kind: string(b, "target_kind", 16) as FileKind }),
  };
}

const optionalEntry = (b: Fields) => (isFields(b.entry) ? { entry: entry(b.entry) } : {});

const job = (b: Fields) => integer(b, "job", 0, 2 ** 32 - 1);

const hello = (b: Fields): FilesHello => ({
  user: string(b, "user", 256),
  admin: b.admin === true,
  home: fileName(b.home, maxPath),
  places: list(b, "places", mostPlaces).map(
    (p): FilePlace => ({
      kind: string(p, "kind", 32),
      path: fileName(p.path, maxPath),
      bytes: number(p, "bytes"),
      free: number(p, "free"),
    }),
  ),
});

const page = (b: Fields): FilesPage => ({
  job: job(b),
  path: fileName(b.path, maxPath),
  entries: list(b, "entries", mostEntries).map(entry),
  sorted: b.sorted === true,
  last: b.last === true,
  writable: b.writable === true,
  bytes: number(b, "bytes"),
  free: number(b, "free"),
});

const meta = (b: Fields): FilesMeta => ({
  job: job(b),
  entry: entry(isFields(b.entry) ? b.entry : {}),
  path: fileName(b.path, maxPath),
  version: string(b, "version", 128),
  size: integer(b, "size", -1, maxOffset),
  offset: integer(b, "offset", 0, maxOffset),
});

const offset = (b: Fields): FilesReady & FilesAck => ({
  job: job(b),
  offset: integer(b, "offset", 0, maxOffset),
});

const progress = (b: Fields): FilesProgress => ({
  job: job(b),
  count: number(b, "count"),
  bytes: number(b, "bytes"),
});

const done = (b: Fields): FilesDone => ({
  ...progress(b),
  ...(b.sha256 === undefined ? {} : { sha256: string(b, "sha256", 64) }),
  ...optionalEntry(b),
});

const failed = (b: Fields): FilesFailed => ({
  job: job(b),
  fault: string(b, "fault", 32) as FileFault,
  message: string(b, "message", 4096),
  count: number(b, "count"),
  kept: number(b, "kept"),
  free: number(b, "free"),
  ...optionalEntry(b),
});

/** Reads a message of the tool; see decoderOf. */
export const decodeFiles = decoderOf<FilesMessage["type"]>({
  "files.hello": hello,
  "files.page": page,
  "files.meta": meta,
  "files.ready": offset,
  "files.ack": offset,
  "files.progress": progress,
  "files.done": done,
  "files.failed": failed,
});

const kindBlock = 0x01;
const headerLength = 13;

/** Content of one block at most, in bytes. */
export const maxBlock = 56 << 10;

/** Blocks that may be on their way at once: fewer than the device holds for a disk that is slow. */
export const maxWindow = 32;

const maxOffset = Number.MAX_SAFE_INTEGER;

/** A piece of a file. */
export interface Block {
  readonly job: number;
  readonly offset: number;
  /** Shares memory with the frame it came in. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Reads a block. Throws WireError. */
export function decodeBlock(frame: ArrayBuffer): Block {
  const n = frame.byteLength - headerLength;
  if (n <= 0 || n > maxBlock) throw new WireError(`block of ${n} bytes`);
  const v = new DataView(frame);
  if (v.getUint8(0) !== kindBlock) throw new WireError("not a block");
  const at = v.getUint32(5) * 2 ** 32 + v.getUint32(9);
  if (at + n > maxOffset) throw new WireError(`block at ${at}`);
  return { job: v.getUint32(1), offset: at, data: new Uint8Array(frame, headerLength) };
}

/** Returns the frame of a block. */
export function encodeBlock(b: Block): Uint8Array<ArrayBuffer> {
  const f = new Uint8Array(headerLength + b.data.length);
  const v = new DataView(f.buffer);
  v.setUint8(0, kindBlock);
  v.setUint32(1, b.job);
  v.setUint32(5, Math.floor(b.offset / 2 ** 32));
  v.setUint32(9, b.offset % 2 ** 32);
  f.set(b.data, headerLength);
  return f;
}
