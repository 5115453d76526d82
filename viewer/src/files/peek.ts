/** Small content on a channel of its own: looked at, or written back after an edit. */
import type { Session } from "../browser/session.ts";
import { encode } from "../session/envelope.ts";
import { decodeBlock, decodeFiles, encodeBlock, maxBlock } from "../session/files.ts";
import { Sha256 } from "../session/sha256.ts";
import type { FileName, FilesMeta } from "../session/wire.gen.ts";
import { FilesError, sentence } from "./talk.ts";

/** The most that is looked at, in bytes: of a text, and of an image. */
export const mostText = 1 << 20;
export const mostImage = 24 << 20;

/** What a look gave. */
export interface Peeked {
  readonly meta: FilesMeta;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

type Read = NonNullable<ReturnType<typeof decodeFiles>>;

/** Runs one job on a channel of its own. `begin` is called once files are open; the job has the number 1. */
function once<T>(
  session: Session,
  admin: boolean,
  begin: (send: (m: string | Uint8Array<ArrayBuffer>) => void) => void,
  take: (
    m: Read | ArrayBuffer,
    done: (value: T) => void,
    send: (m: string | Uint8Array<ArrayBuffer>) => void,
  ) => void,
): Promise<T> {
  return new Promise((done, fail) => {
    const c = session.openTool("files");
    if (c === null) {
      fail(new Error("There is no connection to the device."));
      return;
    }
    const end = (run: () => void) => {
      run();
      c.close();
    };
    const send = (m: string | Uint8Array<ArrayBuffer>) => {
      if (!c.send(m)) end(() => fail(new Error("The connection was lost.")));
    };
    c.on("open", () => send(encode("files.open", { admin })));
    c.on("close", (e) =>
      fail(new Error(e.message === "" ? "The connection was lost." : sentence(e.message))),
    );
    c.on("message", (m) => {
      try {
        const read = typeof m === "string" ? decodeFiles(m) : m;
        if (read === null) return;
        if (!(read instanceof ArrayBuffer)) {
          if (read.type === "files.hello") begin(send);
          if (read.type === "files.failed") end(() => fail(new FilesError(read.body)));
        }
        take(read, (value) => end(() => done(value)), send);
      } catch (cause) {
        end(() => fail(cause as Error));
      }
    });
  });
}

/** Fetches the beginning of a file, at most `limit` bytes, into memory. */
export function peek(
  session: Session,
  admin: boolean,
  path: FileName,
  follow: boolean,
  limit: number,
): Promise<Peeked> {
  let meta: FilesMeta | null = null;
  let bytes = new Uint8Array(0);
  let at = 0;
  return once<Peeked>(
    session,
    admin,
    (send) => send(encode("files.get", { job: 1, path, offset: 0, limit, follow })),
    (m, done, send) => {
      if (m instanceof ArrayBuffer) {
        const b = decodeBlock(m);
        if (b.offset !== at || at + b.data.length > bytes.length)
          throw new Error("The device sent more than it said.");
        bytes.set(b.data, at);
        at += b.data.length;
        send(encode("files.ack", { job: 1, offset: at }));
      } else if (m.type === "files.meta") {
        meta = m.body;
        bytes = new Uint8Array(Math.min(limit, Math.max(0, m.body.size)));
      } else if (m.type === "files.done" && meta !== null) done({ meta, bytes: bytes.subarray(0, at) });
    },
  );
}

/** Writes a file of at most `mostText` bytes in the place of the version that was looked at. */
export function writeBack(
  session: Session,
  admin: boolean,
  at: { readonly folder: FileName; readonly name: FileName; readonly version: string },
  bytes: Uint8Array<ArrayBuffer>,
): Promise<void> {
  const sum = new Sha256();
  sum.update(bytes);
  const { folder, name, version } = at;
  return once<void>(
    session,
    admin,
    (send) =>
      send(
        encode("files.put", {
          job: 1,
          folder,
          name,
          size: bytes.length,
          modified_ms: 0,
          conflict: "replace",
          version,
          fresh: true,
        }),
      ),
    (m, done, send) => {
      if (m instanceof ArrayBuffer) return;
      if (m.type === "files.ready") {
        // All at once: it is less than one window.
        for (let o = 0; o < bytes.length; o += maxBlock) {
          send(encodeBlock({ job: 1, offset: o, data: bytes.subarray(o, o + maxBlock) }));
        }
        send(encode("files.end", { job: 1, sha256: sum.hex() }));
      } else if (m.type === "files.done") done(undefined);
    },
  );
}
