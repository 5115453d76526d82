/** A device's processes as a list that changes, and what of it is shown in which order. */
import type { ProcessMessage } from "./diagnostics.ts";
import type { ProcessRow } from "./wire.gen.ts";

/** How the list is shown. */
export interface ProcessWish {
  /** Parents before their children, who are set in; filters and sorting count within. */
  readonly tree: boolean;
  readonly by: "name" | "pid" | "user" | "cpu" | "memory" | "state";
  readonly down: boolean;
  /** In the name, the command, the user or the number. */
  readonly text: string;
  /** Only those of the person signed in. */
  readonly own: boolean;
}

/** A process and how deep in the tree it stands. */
export interface ShownProcess {
  readonly row: ProcessRow;
  readonly depth: number;
}

/** The most processes that are kept; a device with more is told of in `total`. */
const mostProcesses = 50_000;

/** See the file's comment. */
export class Processes {
  readonly #rows = new Map<number, ProcessRow>();
  #total = 0;
  #cores = 1;
  #whole = false;

  /** How many processes the device has. */
  get total(): number {
    return this.#total;
  }

  /** How many processors the device has. */
  get cores(): number {
    return this.#cores;
  }

  /** Whether the whole list has come at least once. */
  get whole(): boolean {
    return this.#whole;
  }

  /** Returns the process of a number; undefined when it runs no more. */
  get(pid: number): ProcessRow | undefined {
    return this.#rows.get(pid);
  }

  /** Takes a message; false when it changes nothing of the list. */
  take(m: ProcessMessage): boolean {
    if (m.type === "process.rows") {
      if (m.body.first) this.#rows.clear();
      this.#put(m.body.rows ?? []);
      this.#total = m.body.total;
      this.#cores = Math.max(1, m.body.cores);
      this.#whole = this.#whole || m.body.last;
      return true;
    }
    if (m.type !== "process.change") return false;
    for (const pid of m.body.gone ?? []) this.#rows.delete(pid);
    this.#put(m.body.new ?? []);
    for (const moved of m.body.moved ?? []) {
      const row = this.#rows.get(moved.pid);
      if (row !== undefined && row.birth === moved.birth)
        this.#rows.set(moved.pid, { ...row, now: moved.now });
    }
    this.#total = m.body.total;
    return true;
  }

  /** Returns what is to be shown, in order. */
  shown(wish: ProcessWish): readonly ShownProcess[] {
    const text = wish.text.trim().toLowerCase();
    const fits = (r: ProcessRow) =>
      (!wish.own || r.kind === "own") &&
      (text === "" ||
        String(r.pid) === text ||
        r.name.toLowerCase().includes(text) ||
        r.command.toLowerCase().includes(text) ||
        r.user.toLowerCase() === text);
    const compare = comparer(wish);
    if (!wish.tree) {
      return [...this.#rows.values()]
        .filter(fits)
        .sort(compare)
        .map((row) => ({ row, depth: 0 }));
    }
    return this.#tree(fits, compare);
  }

  /** Who fits stays with all its ancestors, so that nobody hangs in the air. */
  #tree(fits: (r: ProcessRow) => boolean, compare: (a: ProcessRow, b: ProcessRow) => number): ShownProcess[] {
    const kept = new Set<number>();
    for (const r of this.#rows.values()) {
      if (!fits(r)) continue;
      for (
        let at: ProcessRow | undefined = r;
        at !== undefined && !kept.has(at.pid);
        at = this.#rows.get(at.parent)
      ) {
        kept.add(at.pid);
      }
    }
    const children = new Map<number, ProcessRow[]>();
    for (const pid of kept) {
      const row = this.#rows.get(pid);
      if (row === undefined) continue;
      const parent = kept.has(row.parent) && row.parent !== pid ? row.parent : 0;
      const list = children.get(parent);
      if (list === undefined) children.set(parent, [row]);
      else list.push(row);
    }
    const out: ShownProcess[] = [];
    const seen = new Set<number>();
    const stack: ShownProcess[] = (children.get(0) ?? [])
      .sort(compare)
      .reverse()
      .map((row) => ({ row, depth: 0 }));
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      if (seen.has(at.row.pid)) continue; // a device that says a child is its own grandparent
      seen.add(at.row.pid);
      out.push(at);
      const depth = at.depth + 1;
      const below = children.get(at.row.pid) ?? [];
      for (const row of below.sort(compare).reverse()) stack.push({ row, depth });
    }
    return out;
  }

  #put(rows: readonly ProcessRow[]): void {
    for (const r of rows) {
      if (this.#rows.size < mostProcesses || this.#rows.has(r.pid)) this.#rows.set(r.pid, r);
    }
  }
}

function comparer(wish: ProcessWish): (a: ProcessRow, b: ProcessRow) => number {
  const sign = wish.down ? -1 : 1;
  const by = (a: ProcessRow, b: ProcessRow): number => {
    switch (wish.by) {
      case "cpu":
        return a.now.cpu - b.now.cpu;
      case "memory":
        return a.now.memory - b.now.memory;
      case "pid":
        return a.pid - b.pid;
      case "name":
        return compareText(a.name.toLowerCase(), b.name.toLowerCase());
      case "user":
        return compareText(a.user, b.user);
      case "state":
        return compareText(a.now.state, b.now.state);
    }
  };
  return (a, b) => sign * by(a, b) || a.pid - b.pid;
}

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
