/** The transfers of a session: who moves now, who waits, and what became of those before. */
import type { Session } from "../browser/session.ts";
import { Emitter } from "../session/emitter.ts";
import { fullRate, gentleRate, workingMs } from "../session/pace.ts";
import type { ToolChannel } from "../session/toolchannel.ts";
import { Disk } from "./disk.ts";
import {
  Download,
  type DownloadWish,
  type Transfer,
  type TransferView,
  Upload,
  type UploadItem,
  type UploadPlace,
} from "./transfer.ts";

/** So many move at once; the others wait. */
const mostMoving = 2;

/** What Transfers tells. */
export interface TransfersEvents {
  /** `views` has changed. */
  views: readonly TransferView[];
  /** A transfer is done: a folder that is looked at may hold more now. */
  done: Transfer;
}

const known = new WeakMap<Session, Transfers>();

/** The transfers of a session: one list, whoever asks. */
export function transfersOf(session: Session): Transfers {
  let t = known.get(session);
  if (t === undefined) {
    t = new Transfers(session);
    known.set(session, t);
  }
  return t;
}

/** See the file's comment. */
export class Transfers extends Emitter<TransfersEvents> {
  readonly disk = new Disk();
  /** Whether what is dropped onto the picture goes as administrator: as files were last looked at. */
  admin = false;
  readonly #session: Session;
  #all: readonly Transfer[] = [];
  #views: readonly TransferView[] = [];
  #id = 0;

  constructor(session: Session) {
    super();
    this.#session = session;
    session.on("view", (v) => v.transport === "connected" && this.#next());
  }

  /** All of them, the newest last. A new list at every change. */
  get views(): readonly TransferView[] {
    return this.#views;
  }

  /** Calls `listener` at every change of `views`; returns what ends it. */
  subscribe = (listener: () => void): (() => void) => this.on("views", listener);

  download(wish: DownloadWish, admin: boolean): void {
    this.#add(new Download(++this.#id, this, admin, wish));
  }

  upload(items: readonly UploadItem[], place: UploadPlace, admin: boolean): void {
    if (items.length > 0) this.#add(new Upload(++this.#id, this, admin, items, place));
  }

  /** The transfer of an id; undefined once it is off the list. */
  of(id: number): Transfer | undefined {
    return this.#all.find((t) => t.id === id);
  }

  /** Takes a transfer off the list; one that moves is cancelled. */
  remove(id: number): void {
    const t = this.of(id);
    this.#all = this.#all.filter((x) => x !== t);
    t?.forget();
    this.#tell();
  }

  /** Takes those off the list that are done or cancelled. */
  tidy(): void {
    const over = this.#all.filter((t) => t.isOver);
    this.#all = this.#all.filter((t) => !t.isOver);
    for (const t of over) t.forget();
    this.#tell();
  }

  open(): ToolChannel | null {
    return this.#session.openTool("files");
  }

  rate(): number {
    const isWorking = performance.now() - this.#session.lastInputMs < workingMs;
    return isWorking ? gentleRate : fullRate;
  }

  changed(_: Transfer): void {
    this.#tell();
  }

  rests(t: Transfer): void {
    if (t.view.state === "done") this.emit("done", t);
    this.#next();
  }

  #add(t: Transfer): void {
    this.#all = [...this.#all, t];
    this.#tell();
    this.#next();
  }

  #tell(): void {
    this.#views = this.#all.map((t) => t.view);
    this.emit("views", this.#views);
  }

  /** Starts those whose turn it is. */
  #next(): void {
    if (this.#session.view.transport !== "connected" || !this.#session.view.may.includes("files")) return;
    let moving = this.#all.filter((t) => t.view.state === "moving").length;
    for (const t of this.#all) {
      if (moving >= mostMoving) return;
      if (t.view.state === "waiting" && t.start()) moving++;
    }
  }
}
