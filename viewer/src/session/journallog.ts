/** The lines of a device's log that a page holds: bounded, in order, with what is missing in between. */
import type { JournalLine, JournalLines } from "./wire.gen.ts";

/** A line, or, with `missing` over 0, a place where that many were not told. */
export interface LogEntry {
  /** Grows by one from entry to entry; lines that are fetched from before go below zero. */
  readonly serial: number;
  readonly missing: number;
  readonly line: JournalLine;
}

/** The most entries that are kept while the newest are looked at, and while older ones are read. */
export const keptFollowing = 20_000;
const keptReading = 60_000;

const nothing: JournalLine = { time_ms: 0, priority: 6, unit: "", pid: 0, text: "", cut: 0 };

/** See the file's comment. */
export class JournalLog {
  #entries: LogEntry[] = [];
  #first = 0;
  #dropped = 0;
  #begin = false;
  #query = 0;

  /** The number of the question whose answers are taken. */
  get query(): number {
    return this.#query;
  }

  /** The serial of the first entry. */
  get first(): number {
    return this.#first;
  }

  /** How many lines the device did not tell, in all. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Whether there is nothing before the first entry, or no room for it. */
  get atBegin(): boolean {
    return this.#begin || this.#entries.length >= keptReading;
  }

  /** A copy of what is held, oldest first. */
  get entries(): readonly LogEntry[] {
    return this.#entries.slice();
  }

  /** Forgets everything and returns the number of the next question. */
  begin(): number {
    this.#entries = [];
    this.#first = 0;
    this.#dropped = 0;
    this.#begin = false;
    return ++this.#query;
  }

  /** Takes a batch; false when it answers an older question. `following` says that the newest are looked at. */
  take(b: JournalLines, following: boolean): boolean {
    if (b.query !== this.#query) return false;
    this.#dropped += Math.max(0, b.dropped);
    const lines = b.lines ?? [];
    if (b.back) {
      this.#begin = b.begin || lines.length === 0;
      const room = Math.max(0, keptReading - this.#entries.length);
      const taken = room === 0 ? [] : lines.slice(-room);
      this.#first -= taken.length;
      this.#entries = taken
        .map((line, i) => ({ serial: this.#first + i, missing: 0, line }))
        .concat(this.#entries);
      return true;
    }
    let serial = this.#first + this.#entries.length;
    if (b.dropped > 0) this.#entries.push({ serial: serial++, missing: b.dropped, line: nothing });
    for (const line of lines) this.#entries.push({ serial: serial++, missing: 0, line });
    const over = this.#entries.length - (following ? keptFollowing : keptReading);
    if (over > 0) {
      this.#entries.splice(0, over);
      this.#first += over;
    }
    return true;
  }
}
