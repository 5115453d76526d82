/**
 * Reads and writes this computer's files beside the page, and takes their sums: neither waits for the
 * picture, nor the picture for them. What is written goes to a file the operator chose, or to one of the
 * browser's own (OPFS), which is then downloaded. Nothing is ever held whole in memory.
 */
import { encodeBlock, maxBlock } from "../session/files.ts";
import { Sha256 } from "../session/sha256.ts";
import { type FromDisk, keptFolder, type ToDisk } from "./disk.ts";

/** Parts of the worker's scope and of the file system that TypeScript's library of the page lacks. */
interface Scope {
  onmessage: ((e: MessageEvent<ToDisk>) => void) | null;
  postMessage(m: FromDisk, transfer?: Transferable[]): void;
}
interface Access {
  write(data: Uint8Array<ArrayBuffer>, at: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}
type OwnFile = FileSystemFileHandle & { createSyncAccessHandle(): Promise<Access> };

const scope = globalThis as unknown as Scope;

/** What a download is written to. */
interface Sink {
  write(data: Uint8Array<ArrayBuffer>, at: number): Promise<void>;
  restart(): Promise<void>;
  /** Ends it well. A file of the browser's own is returned. */
  finish(): Promise<File | null>;
  drop(): Promise<void>;
}

async function chosen(handle: FileSystemFileHandle): Promise<Sink> {
  const out = await handle.createWritable();
  return {
    write: (data, position) => out.write({ type: "write", position, data }),
    restart: () => out.truncate(0),
    finish: async () => {
      await out.close();
      return null;
    },
    drop: () => out.abort(),
  };
}

async function own(name: string): Promise<Sink> {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle(keptFolder, {
    create: true,
  });
  const handle = (await folder.getFileHandle(name, { create: true })) as OwnFile;
  const out = await handle.createSyncAccessHandle();
  out.truncate(0);
  return {
    write: async (data, at) => {
      const n = out.write(data, { at });
      if (n !== data.length) throw new DOMException("the browser's store is full", "QuotaExceededError");
    },
    restart: async () => out.truncate(0),
    finish: async () => {
      out.flush();
      out.close();
      return handle.getFile();
    },
    drop: async () => {
      out.close();
      await folder.removeEntry(name);
    },
  };
}

/** A download that is being written. */
class Download {
  readonly #id: number;
  readonly #sink: Sink;
  #sum = new Sha256();
  #at = 0;

  constructor(id: number, sink: Sink) {
    this.#id = id;
    this.#sink = sink;
  }

  async write(offset: number, data: Uint8Array<ArrayBuffer>): Promise<void> {
    if (offset !== this.#at) throw new Error("a block came that does not follow the one before");
    await this.#sink.write(data, offset);
    this.#sum.update(data);
    this.#at += data.length;
    scope.postMessage({ kind: "kept", id: this.#id, offset: this.#at });
  }

  async restart(): Promise<void> {
    await this.#sink.restart();
    this.#sum = new Sha256();
    this.#at = 0;
    this.sync();
  }

  sync(): void {
    scope.postMessage({ kind: "synced", id: this.#id, offset: this.#at });
  }

  async finish(): Promise<void> {
    const file = await this.#sink.finish();
    scope.postMessage({ kind: "finished", id: this.#id, sha256: this.#sum.hex(), file });
  }

  drop = (): Promise<void> => this.#sink.drop();
}

/** Bytes read of a file at a time. */
const readAhead = 16 * maxBlock;

/** A file of this computer that is being sent, as fast as there is credit. */
class Upload {
  readonly #id: number;
  readonly #job: number;
  readonly #file: File;
  readonly #sum = new Sha256();
  #credit = 0;
  #wake: (() => void) | null = null;
  over = false;

  constructor(id: number, job: number, file: File) {
    this.#id = id;
    this.#job = job;
    this.#file = file;
  }

  credit(blocks: number): void {
    this.#credit += blocks;
    this.#wake?.();
  }

  stop(): void {
    this.over = true;
    this.#wake?.();
  }

  async run(from: number): Promise<void> {
    for (let at = 0; at < this.#file.size; at += readAhead) {
      const bytes = new Uint8Array(await this.#file.slice(at, at + readAhead).arrayBuffer());
      if (this.over) return;
      if (bytes.length !== Math.min(readAhead, this.#file.size - at)) throw new Error("the file has changed");
      this.#sum.update(bytes);
      if (at + bytes.length > from)
        await this.#send(bytes.subarray(Math.max(0, from - at)), Math.max(at, from));
      if (this.over) return;
    }
    scope.postMessage({ kind: "summed", id: this.#id, job: this.#job, sha256: this.#sum.hex() });
  }

  async #send(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += maxBlock) {
      while (this.#credit === 0 && !this.over) {
        await new Promise<void>((done) => {
          this.#wake = done;
        });
      }
      if (this.over) return;
      this.#credit--;
      const data = bytes.subarray(at, at + maxBlock);
      const frame = encodeBlock({ job: this.#job, offset: offset + at, data });
      scope.postMessage(
        { kind: "block", id: this.#id, job: this.#job, end: offset + at + data.length, frame },
        [frame.buffer],
      );
    }
  }
}

const downloads = new Map<number, Download>();
const uploads = new Map<number, Upload>();
/** What was asked of each file, one after the other. */
const chains = new Map<number, Promise<void>>();

function inOrder(id: number, step: () => Promise<void>): void {
  const next = (chains.get(id) ?? Promise.resolve()).then(step).catch((cause: unknown) => {
    const isFull = cause instanceof DOMException && cause.name === "QuotaExceededError";
    const words = cause instanceof Error ? cause.message : "unknown";
    scope.postMessage({
      kind: "failed",
      id,
      message: isFull ? "This computer has no room left for the file." : `This computer: ${words}`,
    });
  });
  chains.set(id, next);
}

async function forget(id: number): Promise<void> {
  const d = downloads.get(id);
  downloads.delete(id);
  await d?.drop();
}

scope.onmessage = ({ data: m }) => {
  switch (m.kind) {
    case "sink":
      inOrder(m.id, async () => {
        const sink = m.handle === null ? await own(m.name) : await chosen(m.handle);
        downloads.set(m.id, new Download(m.id, sink));
      });
      break;
    case "write":
      inOrder(m.id, async () => downloads.get(m.id)?.write(m.offset, new Uint8Array(m.frame, m.header)));
      break;
    case "restart":
      inOrder(m.id, async () => downloads.get(m.id)?.restart());
      break;
    case "sync":
      inOrder(m.id, async () => {
        const d = downloads.get(m.id);
        if (d === undefined) throw new Error("the file was given up; fetch it anew");
        d.sync();
      });
      break;
    case "finish":
      inOrder(m.id, async () => {
        await downloads.get(m.id)?.finish();
        downloads.delete(m.id);
      });
      break;
    case "source": {
      uploads.get(m.id)?.stop();
      const u = new Upload(m.id, m.job, m.file);
      uploads.set(m.id, u);
      inOrder(m.id, () => u.run(m.offset));
      break;
    }
    case "credit":
      uploads.get(m.id)?.credit(m.blocks);
      break;
    case "stop":
      uploads.get(m.id)?.stop();
      uploads.delete(m.id);
      break;
    case "drop":
      uploads.get(m.id)?.stop();
      uploads.delete(m.id);
      inOrder(m.id, () => forget(m.id));
      break;
  }
};
