/** Asks the device's "files" things over one channel, and sorts the answers to who asked. */
import { encode } from "../session/envelope.ts";
import { decodeFiles, type FilesMessage } from "../session/files.ts";
import { readMessage, type ToolChannel } from "../session/toolchannel.ts";
import type { Bodies, FilesDone, FilesFailed, FilesPage } from "../session/wire.gen.ts";

/** A job that did not work out, in the device's words. */
export class FilesError extends Error {
  override name = "FilesError";
  readonly failed: FilesFailed;

  constructor(failed: FilesFailed) {
    super(sentence(failed.message));
    this.failed = failed;
  }
}

/** Begins a text with a capital and ends it with a full stop. */
export function sentence(text: string): string {
  const t = text.trim();
  if (t === "") return "That did not work, and the device does not say why.";
  return `${t.charAt(0).toUpperCase()}${t.slice(1)}${/[.!?]$/.test(t) ? "" : "."}`;
}

type Asked = "files.make" | "files.move" | "files.delete" | "files.set" | "files.list";

interface Waiting {
  readonly page: ((p: FilesPage) => boolean) | null;
  readonly progress: ((count: number, bytes: number) => void) | null;
  readonly done: (d: FilesDone | null) => void;
  readonly fail: (e: Error) => void;
}

/** See the file's comment. */
export class FilesTalk {
  readonly #channel: ToolChannel;
  readonly #waiting = new Map<number, Waiting>();
  #job = 0;

  constructor(channel: ToolChannel) {
    this.#channel = channel;
  }

  /** Takes a message of the channel that is not an answer to somebody else. */
  take(m: string | ArrayBuffer): FilesMessage | null {
    const read = readMessage(decodeFiles, m);
    if (read === null || !("job" in read.body)) return read;
    const { job } = read.body;
    const w = this.#waiting.get(job);
    if (w === undefined) return read;
    switch (read.type) {
      case "files.page":
        if (w.page?.(read.body) === false) this.cancel(job);
        else if (!read.body.last) this.#channel.send(encode("files.more", { job }));
        if (read.body.last) this.#end(job, (x) => x.done(null));
        break;
      case "files.progress":
        w.progress?.(read.body.count, read.body.bytes);
        break;
      case "files.done":
        this.#end(job, (x) => x.done(read.body));
        break;
      case "files.failed":
        this.#end(job, (x) => x.fail(new FilesError(read.body)));
        break;
      default:
        break;
    }
    return null;
  }

  /** Asks for something to be done. `begun` gets the job's number, for cancel. */
  ask<T extends Exclude<Asked, "files.list">>(
    type: T,
    body: Omit<Bodies[T], "job">,
    progress: Waiting["progress"] = null,
    begun?: (job: number) => void,
  ): Promise<FilesDone | null> {
    return this.#ask(type, body as Omit<Bodies[Asked], "job">, null, progress, begun);
  }

  /** Lists a folder, a page at a time; `page` returns false to end it. */
  async list(
    body: Omit<Bodies["files.list"], "job">,
    page: (p: FilesPage) => boolean,
    begun?: (job: number) => void,
  ): Promise<void> {
    await this.#ask("files.list", body, page, null, begun);
  }

  #ask(
    type: Asked,
    body: Omit<Bodies[Asked], "job">,
    page: Waiting["page"],
    progress: Waiting["progress"],
    begun?: (job: number) => void,
  ): Promise<FilesDone | null> {
    const job = ++this.#job;
    return new Promise((done, fail) => {
      this.#waiting.set(job, { page, progress, done, fail });
      begun?.(job);
      if (!this.#channel.send(encode(type, { ...body, job } as Bodies[Asked]))) {
        this.#end(job, (w) => w.fail(new Error("There is no connection to the device.")));
      }
    });
  }

  /** Ends a job; what was done of it stays. */
  cancel(job: number): void {
    this.#channel.send(encode("files.cancel", { job, keep: false }));
  }

  /** The channel is gone. */
  over(message: string): void {
    for (const job of [...this.#waiting.keys()]) {
      this.#end(job, (w) =>
        w.fail(new Error(message || "The connection was lost before the device answered.")),
      );
    }
  }

  #end(job: number, tell: (w: Waiting) => void): void {
    const w = this.#waiting.get(job);
    this.#waiting.delete(job);
    if (w !== undefined) tell(w);
  }
}
