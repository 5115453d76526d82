/**
 * One transfer between this computer and the device, on a channel of its own. It goes on where it was
 * when the connection comes back, and neither end holds more of a file than what is on its way.
 */
import { encode } from "../session/envelope.ts";
import { decodeBlock, decodeFiles, joinPath, maxBlock, nameKey, nameOf, parentOf } from "../session/files.ts";
import { Pace } from "../session/pace.ts";
import type { ToolChannel } from "../session/toolchannel.ts";
import { SendWindow } from "../session/window.ts";
import type {
  FileConflict,
  FileEntry,
  FileName,
  FilesDone,
  FilesFailed,
  FilesHello,
} from "../session/wire.gen.ts";
import type { Disk, FromDisk } from "./disk.ts";
import { sentence } from "./talk.ts";

/** How a transfer stands. */
export type TransferState =
  /** Its turn has not come, or there is no connection: it begins, or goes on, by itself. */
  | "waiting"
  | "moving"
  | "paused"
  /** There is something of that name: the operator chooses. */
  | "asking"
  | "done"
  | "failed"
  | "cancelled";

/** What the list of transfers shows. A new object at every change. */
export interface TransferView {
  readonly id: number;
  readonly direction: "up" | "down";
  /** What moves, in words. */
  readonly title: string;
  /** Where it goes, or comes from, on the device; "" while that is not known. */
  readonly place: string;
  readonly state: TransferState;
  /** Bytes that are where they belong. */
  readonly moved: number;
  /** Bytes in all; null where that shows only at the end. */
  readonly total: number | null;
  /** Bytes a second, of late. */
  readonly rate: number;
  /** Why it has stopped. */
  readonly message: string;
  /** Of the last file that is whole: its sum, in hexadecimal digits. */
  readonly sha256: string;
  /** Asking: what is there, and what would come. */
  readonly conflict: { readonly there: FileEntry; readonly comes: File } | null;
  /** A download that waits to be saved; its address is of this page only. */
  readonly saved: { readonly url: string; readonly name: string } | null;
}

/** A file to be sent, and the folders it lies in below the place it is sent to. */
export interface UploadItem {
  readonly folders: readonly string[];
  readonly file: File;
}

/** Where uploads go: a folder of the device, or where what is dropped onto the picture goes. */
export type UploadPlace = FileName | "inbox";

/** What a transfer needs of the list it is in. */
export interface TransferHost {
  readonly disk: Disk;
  /** Bytes a second that a file may move at now. */
  rate(): number;
  /** A new channel, or null while there is no connection. */
  open(): ToolChannel | null;
  /** Something of it is to be shown anew. */
  changed(t: Transfer): void;
  /** It has stopped moving: another may begin. */
  rests(t: Transfer): void;
}

/** Figures are shown this often, in milliseconds. */
const shownMs = 250;
/** After a channel that closed without a word, this long before the next, in milliseconds. */
const againMs = 1000;
/** Where the content of a block begins in its frame. */
const headerLength = 13;

/** What uploads and downloads have in common. */
export abstract class Transfer {
  readonly id: number;
  readonly admin: boolean;
  protected readonly host: TransferHost;
  protected channel: ToolChannel | null = null;
  #view: TransferView;
  #meterMs = 0;
  #meterAt = 0;
  #shownMs = 0;

  constructor(
    id: number,
    host: TransferHost,
    admin: boolean,
    view: Pick<TransferView, "direction" | "title" | "place" | "total">,
  ) {
    this.id = id;
    this.host = host;
    this.admin = admin;
    this.#view = {
      ...view,
      id,
      state: "waiting",
      moved: 0,
      rate: 0,
      message: "",
      sha256: "",
      conflict: null,
      saved: null,
    };
    host.disk.listen(id, (m) => this.heard(m));
  }

  get view(): TransferView {
    return this.#view;
  }

  /** Whether it can never move again. */
  get isOver(): boolean {
    return this.#view.state === "done" || this.#view.state === "cancelled";
  }

  /** Begins, or goes on. False while there is no connection. */
  start(): boolean {
    const c = this.host.open();
    if (c === null) return false;
    this.channel = c;
    this.#meterMs = performance.now();
    this.#meterAt = this.#view.moved;
    this.show({ state: "moving", message: "", rate: 0 });
    c.on("open", () => c.send(encode("files.open", { admin: this.admin })));
    c.on("message", (m) => this.channel === c && this.#message(m));
    c.on("close", (end) => {
      if (this.channel !== c) return;
      this.channel = null;
      this.left();
      if (end.code === "") {
        this.show({
          state: "waiting",
          message: "Connection lost. It goes on by itself when it is back.",
          rate: 0,
        });
        setTimeout(() => this.host.rests(this), againMs);
      } else if (end.code === "not_granted" || end.code === "paused" || end.code === "ended")
        this.#rest("paused", sentence(end.message || "Files were taken back at the device"));
      else this.#rest("failed", sentence(end.message));
    });
    return true;
  }

  /** Holds it; what has come stays. */
  pause(): void {
    if (this.isOver) return;
    this.#quit(true);
    this.#rest("paused", "");
  }

  /** Lets it wait for its turn again. */
  resume(): void {
    if (this.isOver || this.channel !== null) return;
    this.show({ state: "waiting", message: "", conflict: null });
    this.host.rests(this);
  }

  /** Ends it; half a file goes, on both ends. */
  cancel(): void {
    if (this.isOver) return;
    this.#quit(false);
    this.host.disk.drop(this.id);
    this.#rest("cancelled", "");
  }

  /** Lets go of what it keeps, when it is taken off the list. */
  forget(): void {
    this.cancel();
    this.host.disk.drop(this.id);
    if (this.#view.saved !== null) URL.revokeObjectURL(this.#view.saved.url);
  }

  protected abstract hello(h: FilesHello): void;
  protected abstract job: number;
  protected abstract message(m: Exclude<ReturnType<typeof decodeFiles>, null>): void;
  protected abstract block(frame: ArrayBuffer): void;
  /** What this computer's disk says. */
  protected abstract heard(m: FromDisk): void;
  /** The channel is gone. */
  protected left(): void {}

  protected say(text: string): void {
    this.channel?.send(text);
  }

  protected show(change: Partial<TransferView>): void {
    this.#view = { ...this.#view, ...change };
    this.host.changed(this);
  }

  /** Says how far it is, without drawing at every block. */
  protected at(moved: number): void {
    const now = performance.now();
    const past = now - this.#meterMs;
    let { rate } = this.#view;
    if (past > 500) {
      const current = ((moved - this.#meterAt) / past) * 1000;
      rate = rate === 0 ? current : rate * 0.6 + current * 0.4;
      this.#meterMs = now;
      this.#meterAt = moved;
    }
    this.#view = { ...this.#view, moved, rate: Math.max(0, rate) };
    if (now - this.#shownMs < shownMs && moved !== this.#view.total) return;
    this.#shownMs = now;
    this.host.changed(this);
  }

  protected finish(change: Partial<TransferView>): void {
    this.#quit(true);
    this.show(change);
    this.#rest("done", change.message ?? "");
  }

  protected fail(message: string): void {
    this.#quit(true);
    this.#rest("failed", sentence(message));
  }

  protected ask(there: FileEntry, comes: File): void {
    this.#quit(true);
    this.show({ conflict: { there, comes } });
    this.#rest("asking", "");
  }

  #message(m: string | ArrayBuffer): void {
    try {
      if (typeof m !== "string") {
        this.block(m);
        return;
      }
      const read = decodeFiles(m);
      if (read === null) return;
      if (read.type === "files.hello") this.hello(read.body);
      else this.message(read);
    } catch (cause) {
      this.fail(`The device sent what is no message: ${cause instanceof Error ? cause.message : ""}`);
    }
  }

  #quit(keep: boolean): void {
    const c = this.channel;
    this.channel = null;
    if (c === null) return;
    c.send(encode("files.cancel", { job: this.job, keep }));
    this.left();
    if (keep) c.close();
    else setTimeout(() => c.close(), 2000); // the device removes what it has before the channel goes
  }

  #rest(state: TransferState, message: string): void {
    this.show({ state, message, rate: 0 });
    this.host.rests(this);
  }
}

/** What a download fetches: a file, or several things of a folder as one archive. */
export interface DownloadWish {
  readonly path: FileName;
  /** The path is a link. */
  readonly follow: boolean;
  /** As an archive: what to take of the folder at `path`. */
  readonly names: readonly FileName[];
  /** How the file is to be called on this computer. */
  readonly name: string;
  readonly size: number | null;
  /** The file chosen for it; null writes to one of the browser's own. */
  readonly handle: FileSystemFileHandle | null;
}

/** From the device to this computer. */
export class Download extends Transfer {
  protected job = 0;
  readonly #wish: DownloadWish;
  /** Bytes that this computer has kept. */
  #kept = 0;
  /** Of them acknowledged. */
  #acked = 0;
  readonly #pace = new Pace(performance.now());
  #pacer: ReturnType<typeof setTimeout> | undefined;
  #version = "";
  /** The sum that the device says. */
  #sum = "";
  #finishing = false;

  constructor(id: number, host: TransferHost, admin: boolean, wish: DownloadWish) {
    super(id, host, admin, { direction: "down", title: wish.name, place: wish.path.text, total: wish.size });
    this.#wish = wish;
    const name = `${Date.now()}-${id}`;
    host.disk.send({ kind: "sink", id, handle: wish.handle, name });
  }

  protected hello(): void {
    this.host.disk.send({ kind: "sync", id: this.id }); // what came before a cut may not be written yet
  }

  /** Asks for what is missing. An archive is made anew each time. */
  #get(): void {
    const isArchive = this.#wish.names.length > 0;
    if (isArchive && this.#kept > 0) {
      this.#restart();
      return;
    }
    this.#finishing = false;
    this.#acked = this.#kept;
    this.say(
      encode("files.get", {
        job: ++this.job,
        path: this.#wish.path,
        offset: this.#kept,
        limit: 0,
        version: this.#kept > 0 ? this.#version : "",
        follow: this.#wish.follow,
        ...(isArchive ? { names: this.#wish.names } : {}),
      }),
    );
  }

  /** Has the device send more, no faster than it may. */
  #acknowledge(): void {
    clearTimeout(this.#pacer);
    if (this.#pace.allowed(this.host.rate(), performance.now()) < 0) {
      this.#pacer = setTimeout(() => this.#acknowledge(), 20);
      return;
    }
    this.#pace.spend(Math.max(0, this.#kept - this.#acked));
    this.#acked = this.#kept;
    this.say(encode("files.ack", { job: this.job, offset: this.#kept }));
  }

  #restart(): void {
    this.host.disk.send({ kind: "restart", id: this.id });
  }

  protected block(frame: ArrayBuffer): void {
    const b = decodeBlock(frame);
    if (b.job !== this.job) return;
    this.host.disk.send({ kind: "write", id: this.id, offset: b.offset, frame, header: headerLength });
  }

  protected message(m: Exclude<ReturnType<typeof decodeFiles>, null>): void {
    if (!("job" in m.body) || m.body.job !== this.job) return;
    switch (m.type) {
      case "files.meta":
        this.#version = m.body.version;
        this.show({ total: m.body.size < 0 ? null : m.body.size, place: m.body.path.text });
        break;
      case "files.done":
        this.#done(m.body);
        break;
      case "files.failed":
        if (m.body.fault === "changed" && this.#kept > 0) {
          this.show({ message: "The file has changed since; it is fetched anew." });
          this.#restart();
        } else this.fail(m.body.message);
        break;
      default:
        break;
    }
  }

  #done(d: FilesDone): void {
    this.#sum = d.sha256 ?? "";
    this.#finishing = true;
    this.show({ total: d.bytes });
    if (this.#kept === d.bytes) this.host.disk.send({ kind: "finish", id: this.id });
  }

  protected heard(m: FromDisk): void {
    switch (m.kind) {
      case "synced":
        this.#kept = m.offset;
        if (this.channel !== null) this.#get();
        break;
      case "kept":
        this.#kept = m.offset;
        this.#acknowledge();
        this.at(m.offset);
        if (this.#finishing && m.offset === this.view.total)
          this.host.disk.send({ kind: "finish", id: this.id });
        break;
      case "finished":
        if (m.sha256 !== this.#sum)
          this.fail("What came is not what was sent (SHA-256 differs). Fetch it again.");
        else if (m.file === null) this.finish({ sha256: m.sha256, message: "Saved where you chose." });
        else {
          const saved = { url: URL.createObjectURL(m.file), name: this.#wish.name };
          this.finish({ sha256: m.sha256, saved });
          offer(saved);
        }
        break;
      case "failed":
        this.fail(m.message);
        break;
      default:
        break;
    }
  }
}

/** Gives the browser a finished download to save. */
export function offer(saved: { readonly url: string; readonly name: string }): void {
  const link = document.createElement("a");
  link.href = saved.url;
  link.download = saved.name;
  link.click();
}

/** Whether a choice holds for one file or for all that follow. */
export type Answer = "replace" | "keep" | "skip";

/** From this computer to the device, any number of files one after the other. */
export class Upload extends Transfer {
  protected job = 0;
  readonly #items: readonly UploadItem[];
  #place: UploadPlace;
  #next = 0;
  /** Bytes of the files before the next one. */
  #before = 0;
  #window = new SendWindow();
  #credited = 0;
  readonly #pace = new Pace(performance.now());
  #pacer: ReturnType<typeof setTimeout> | undefined;
  /** The device's folder for the next file; null until it is made. */
  #folder: FileName | null = null;
  readonly #made = new Set<string>();
  readonly #making: { readonly path: FileName }[] = [];
  #conflict: FileConflict = "ask";
  #forAll: Answer | null = null;
  #fresh = false;
  #sum = "";
  #sums: string[] = [];
  #skipped = 0;
  #kept = 0;
  #ended = false;

  constructor(
    id: number,
    host: TransferHost,
    admin: boolean,
    items: readonly UploadItem[],
    place: UploadPlace,
  ) {
    const first = items[0]?.file.name ?? "";
    super(id, host, admin, {
      direction: "up",
      title:
        nameOf(items.length === 1 ? first : (items[0]?.folders[0] ?? first)).text +
        (items.length > 1 ? ` (${items.length} files)` : ""),
      place: place === "inbox" ? "" : place.text,
      total: items.reduce((sum, i) => sum + i.file.size, 0),
    });
    this.#items = items;
    this.#place = place;
  }

  /** Says what to do with what is there already. */
  answer(choice: Answer, forAll: boolean): void {
    if (this.view.state !== "asking") return;
    if (forAll) this.#forAll = choice;
    this.#choose(choice);
    this.resume();
  }

  /** Begins the file anew, instead of going on where it was cut. */
  startOver(): void {
    this.#fresh = true;
    this.resume();
  }

  #choose(choice: Answer): void {
    if (choice === "skip") this.#skip();
    else this.#conflict = choice;
  }

  #skip(): void {
    this.#skipped++;
    this.#advance();
  }

  #advance(): void {
    this.#before += this.#items[this.#next]?.file.size ?? 0;
    this.#next++;
    this.#conflict = "ask";
    this.#fresh = false;
    this.#folder = null;
  }

  protected hello(h: FilesHello): void {
    if (this.#place === "inbox") {
      const of = (kind: string) => h.places?.find((p) => p.kind === kind)?.path;
      this.#place = of("downloads") ?? of("desktop") ?? h.home;
      this.show({ place: this.#place.text });
    }
    this.#put();
  }

  /** Makes the folders of the next file that are not known to be there, then sends it. */
  #put(): void {
    const item = this.#items[this.#next];
    if (item === undefined) {
      const message = this.#skipped > 0 ? `${this.#skipped} left as they were.` : "";
      this.finish({
        sha256: this.#items.length === 1 ? (this.#sums[0] ?? "") : "",
        message,
        moved: this.view.total ?? 0,
      });
      return;
    }
    if (this.#forAll !== null && this.#forAll !== "skip") this.#conflict = this.#forAll;
    if (this.#folder === null) {
      let folder = this.#place as FileName;
      for (const f of item.folders) folder = joinPath(folder, nameOf(f));
      if (item.folders.length > 0 && !this.#made.has(nameKey(folder))) {
        this.#making.push({ path: folder });
        this.say(encode("files.make", { job: ++this.job, path: folder }));
        return;
      }
      this.#folder = folder;
    }
    this.#ended = false;
    this.#sum = "";
    this.say(
      encode("files.put", {
        job: ++this.job,
        folder: this.#folder,
        name: nameOf(item.file.name),
        size: item.file.size,
        modified_ms: item.file.lastModified,
        conflict: this.#conflict,
        fresh: this.#fresh,
      }),
    );
  }

  protected block(): void {}

  protected message(m: Exclude<ReturnType<typeof decodeFiles>, null>): void {
    if (!("job" in m.body) || m.body.job !== this.job) return;
    const item = this.#items[this.#next];
    if (item === undefined) return;
    switch (m.type) {
      case "files.ready":
        this.#window = new SendWindow();
        this.#credited = 0;
        this.#kept = m.body.offset;
        this.at(this.#before + m.body.offset);
        this.host.disk.send({
          kind: "source",
          id: this.id,
          job: this.job,
          file: item.file,
          offset: m.body.offset,
        });
        this.#credit();
        break;
      case "files.ack":
        this.#kept = m.body.offset;
        this.#window.kept(m.body.offset, performance.now());
        this.at(this.#before + m.body.offset);
        this.#credit();
        this.#end();
        break;
      case "files.done":
        this.#done(m.body);
        break;
      case "files.failed":
        this.#failed(m.body, item.file);
        break;
      default:
        break;
    }
  }

  #done(d: FilesDone): void {
    const made = this.#making.pop();
    if (made !== undefined) {
      this.#made.add(nameKey(made.path));
      this.#put();
      return;
    }
    if (d.sha256) this.#sums = [...this.#sums, d.sha256].slice(-1);
    this.#advance();
    this.#put();
  }

  #failed(f: FilesFailed, file: File): void {
    this.host.disk.send({ kind: "stop", id: this.id });
    const made = this.#making.pop();
    if (made !== undefined && f.fault === "exists") {
      this.#made.add(nameKey(made.path));
      this.#put();
    } else if (f.fault === "exists" && f.entry !== undefined) {
      if (this.#forAll === null) this.ask(f.entry, file);
      else {
        this.#choose(this.#forAll);
        this.#put();
      }
    } else {
      if (f.fault === "sum") this.#fresh = true;
      this.fail(f.message);
    }
  }

  /** Lets this computer's disk read as many blocks as may be on their way, and no faster than the device takes. */
  #credit(): void {
    const open = this.#window.room - this.#credited;
    if (open <= 0 || this.channel === null) return;
    const allowed = this.#pace.allowed(this.host.rate(), performance.now());
    const room = Math.min(open, Math.floor(allowed / maxBlock));
    if (room <= 0) {
      clearTimeout(this.#pacer);
      this.#pacer = setTimeout(() => this.#credit(), 20);
      return;
    }
    this.#credited += room;
    this.#pace.spend(room * maxBlock);
    this.host.disk.send({ kind: "credit", id: this.id, blocks: room });
  }

  protected heard(m: FromDisk): void {
    switch (m.kind) {
      case "block":
        if (m.job !== this.job) break; // of before a cut
        this.#credited--;
        this.#window.sent(m.end, performance.now());
        // What is closing says itself why, with its close.
        if (this.channel?.send(m.frame) === false && this.channel.isOpen) {
          this.channel.close();
          this.fail("The connection takes no more; try again.");
        }
        break;
      case "summed":
        if (m.job !== this.job) break;
        this.#sum = m.sha256;
        this.#end();
        break;
      case "failed":
        this.fail(m.message);
        break;
      default:
        break;
    }
  }

  /** Ends the file once everything of it is there. */
  #end(): void {
    const size = this.#items[this.#next]?.file.size;
    if (this.#sum === "" || this.#ended || this.#kept !== size) return;
    this.#ended = true;
    this.say(encode("files.end", { job: this.job, sha256: this.#sum }));
  }

  protected override left(): void {
    clearTimeout(this.#pacer);
    this.host.disk.send({ kind: "stop", id: this.id });
    this.#making.length = 0;
    this.#folder = null;
  }

  /** Whether what is sent lands in a folder, or below it. */
  landsIn(path: FileName): boolean {
    if (this.#place === "inbox") return false;
    return nameKey(this.#place) === nameKey(path) || nameKey(parentOf(path)) === nameKey(this.#place);
  }
}
