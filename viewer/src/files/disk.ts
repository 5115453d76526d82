/** The worker that reads and writes this computer's files, as the page sees it. */

/** What the page asks of it; `id` is the transfer's. */
export type ToDisk =
  /** Opens what a download is written to: the file chosen, or one of the browser's own of that name. */
  | {
      readonly kind: "sink";
      readonly id: number;
      readonly handle: FileSystemFileHandle | null;
      readonly name: string;
    }
  /** A block of it; the frame is handed over. */
  | {
      readonly kind: "write";
      readonly id: number;
      readonly offset: number;
      readonly frame: ArrayBuffer;
      readonly header: number;
    }
  | { readonly kind: "restart"; readonly id: number }
  /** Asks how much is kept once all that was sent is written. */
  | { readonly kind: "sync"; readonly id: number }
  | { readonly kind: "finish"; readonly id: number }
  /** Reads a file for an upload, from an offset; its sum is of the whole. */
  | {
      readonly kind: "source";
      readonly id: number;
      readonly job: number;
      readonly file: File;
      readonly offset: number;
    }
  | { readonly kind: "credit"; readonly id: number; readonly blocks: number }
  | { readonly kind: "stop"; readonly id: number }
  /** Ends a transfer; what a download has written goes. */
  | { readonly kind: "drop"; readonly id: number };

/** What it answers. */
export type FromDisk =
  /** The answer to sync and restart. */
  | { readonly kind: "synced"; readonly id: number; readonly offset: number }
  | { readonly kind: "kept"; readonly id: number; readonly offset: number }
  | { readonly kind: "finished"; readonly id: number; readonly sha256: string; readonly file: File | null }
  | {
      readonly kind: "block";
      readonly id: number;
      readonly job: number;
      readonly end: number;
      readonly frame: Uint8Array<ArrayBuffer>;
    }
  | { readonly kind: "summed"; readonly id: number; readonly job: number; readonly sha256: string }
  | { readonly kind: "failed"; readonly id: number; readonly message: string };

/** The browser's own folder for downloads that wait to be saved. */
export const keptFolder = "handrail-downloads";

/** What waits to be saved for longer than this is of nobody any more. */
const keptMs = 24 * 3600_000;

/** See the file's comment. One worker serves all transfers of a session. */
export class Disk {
  readonly #worker = new Worker(new URL("./disk.worker.ts", import.meta.url), { type: "module" });
  readonly #listeners = new Map<number, (m: FromDisk) => void>();

  constructor() {
    this.#worker.onmessage = (e: MessageEvent<FromDisk>) => this.#listeners.get(e.data.id)?.(e.data);
    this.#worker.onerror = (e) => {
      const message = `This page cannot read or write files: ${e.message || "its worker did not start"}.`;
      for (const [id, listener] of this.#listeners) listener({ kind: "failed", id, message });
    };
    void tidy();
  }

  /** Calls `listener` with what is said of a transfer, until `drop`. */
  listen(id: number, listener: (m: FromDisk) => void): void {
    this.#listeners.set(id, listener);
  }

  send(m: ToDisk): void {
    this.#worker.postMessage(m, m.kind === "write" ? [m.frame] : []);
  }

  drop(id: number): void {
    this.#listeners.delete(id);
    this.send({ kind: "drop", id });
  }
}

/** Removes what an earlier page left. */
async function tidy(): Promise<void> {
  try {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle(keptFolder);
    const entries = (folder as unknown as { values(): AsyncIterable<FileSystemHandle> }).values();
    for await (const entry of entries) {
      if (entry.kind !== "file") continue;
      const file = await (entry as FileSystemFileHandle).getFile();
      if (Date.now() - file.lastModified > keptMs) await folder.removeEntry(entry.name);
    }
  } catch {
    // Nothing was left, or another page still writes it.
  }
}
