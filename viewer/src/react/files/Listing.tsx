// biome-ignore-all lint/a11y/useSemanticElements: a table element draws all of its rows, of which there may be a hundred thousand
// biome-ignore-all lint/a11y/useFocusableInteractive: the grid has the focus and names its active row
/** What a folder holds, as a table of any length: only the rows that can be seen are drawn. */
import {
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { nameKey } from "../../session/files.ts";
import { bytes, dayAndClock } from "../../session/units.ts";
import type { FileEntry } from "../../session/wire.gen.ts";
import { isFolder, kindWords, modeWords } from "./words.ts";

/** What the rows are in order of. */
export type SortKey = "name" | "size" | "modified";

/** The order of the rows. */
export interface Sort {
  readonly by: SortKey;
  readonly down: boolean;
}

const rowPx = 30;
const spare = 8;

const folded = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

/** Puts entries in order: folders first, then by the key, then by name. */
export function sorted(entries: readonly FileEntry[], sort: Sort): readonly FileEntry[] {
  const sign = sort.down ? -1 : 1;
  return entries.toSorted((a, b) => {
    const folders = Number(isFolder(b)) - Number(isFolder(a));
    if (folders !== 0) return folders;
    if (sort.by === "size" && a.size !== b.size) return sign * (a.size - b.size);
    if (sort.by === "modified" && a.modified_ms !== b.modified_ms)
      return sign * (a.modified_ms - b.modified_ms);
    return (sort.by === "name" ? sign : 1) * folded.compare(a.name.text, b.name.text);
  });
}

interface ListingProps {
  readonly label: string;
  readonly entries: readonly FileEntry[];
  readonly sort: Sort;
  readonly setSort: (s: Sort) => void;
  readonly selected: ReadonlySet<string>;
  readonly select: (keys: ReadonlySet<string>) => void;
  readonly enter: (e: FileEntry) => void;
  readonly up: () => void;
  readonly remove: () => void;
  readonly rename: () => void;
  /** Shows what can be done, at a point of the window. */
  readonly menu: (x: number, y: number) => void;
}

/** See the file's comment. */
export function Listing(props: ListingProps): ReactNode {
  const { entries, selected, select } = props;
  const id = useId();
  const box = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState(0);
  const [from, setFrom] = useState(0);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(400);
  const typed = useRef({ text: "", atMs: 0 });
  const cursor = Math.min(at, Math.max(0, entries.length - 1));

  useEffect(() => {
    const el = box.current;
    if (el === null) return;
    const observer = new ResizeObserver(() => setHeight(el.clientHeight));
    observer.observe(el);
    return () => observer.disconnect();
  }, []);

  useLayoutEffect(() => {
    const el = box.current;
    if (el === null) return;
    const y = cursor * rowPx;
    if (y < el.scrollTop) el.scrollTop = y;
    else if (y + rowPx * 2 > el.scrollTop + el.clientHeight) el.scrollTop = y + rowPx * 2 - el.clientHeight;
  }, [cursor]);

  const keyAt = (i: number) => nameKey(entries[i]?.name ?? { text: "" });
  const range = (a: number, b: number) => {
    const keys = new Set<string>();
    for (let i = Math.min(a, b); i <= Math.max(a, b); i++) keys.add(keyAt(i));
    return keys;
  };
  const go = (to: number, extend: boolean) => {
    const i = Math.max(0, Math.min(to, entries.length - 1));
    setAt(i);
    if (extend) select(range(from, i));
    else {
      setFrom(i);
      select(new Set([keyAt(i)]));
    }
  };
  const toggle = (i: number) => {
    const next = new Set(selected);
    if (!next.delete(keyAt(i))) next.add(keyAt(i));
    setAt(i);
    setFrom(i);
    select(next);
  };
  const find = (letter: string) => {
    const now = performance.now();
    const text = (now - typed.current.atMs < 1000 ? typed.current.text : "") + letter.toLowerCase();
    typed.current = { text, atMs: now };
    const start = text.length === 1 ? cursor + 1 : cursor;
    for (let n = 0; n < entries.length; n++) {
      const i = (start + n) % entries.length;
      if (entries[i]?.name.text.toLowerCase().startsWith(text)) return go(i, false);
    }
  };

  const keys = (e: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height / rowPx) - 2);
    const moves: Record<string, number> = {
      ArrowDown: cursor + 1,
      ArrowUp: cursor - 1,
      PageDown: cursor + page,
      PageUp: cursor - page,
      Home: 0,
      End: entries.length - 1,
    };
    const entry = entries[cursor];
    if (e.altKey && e.key === "ArrowUp") props.up();
    else if (e.key in moves) go(moves[e.key] ?? 0, e.shiftKey);
    else if (e.key === "Enter" && entry !== undefined) props.enter(entry);
    else if (e.key === "Backspace") props.up();
    else if (e.key === "Delete") props.remove();
    else if (e.key === "F2") props.rename();
    else if (e.key === "Escape") select(new Set());
    else if (e.key === "a" && (e.ctrlKey || e.metaKey)) select(range(0, entries.length - 1));
    else if (e.key === "ContextMenu" || (e.key === "F10" && e.shiftKey)) {
      const row = document.getElementById(`${id}-${cursor}`)?.getBoundingClientRect();
      if (row) props.menu(row.left + 40, row.bottom);
    } else if (e.key === " ") toggle(cursor);
    else if (e.key.length === 1 && !e.ctrlKey && !e.metaKey && !e.altKey) find(e.key);
    else return;
    e.preventDefault();
    e.stopPropagation();
  };

  const click = (e: MouseEvent, i: number) => {
    if (e.shiftKey) go(i, true);
    else if (e.ctrlKey || e.metaKey) toggle(i);
    else go(i, false);
  };

  const first = Math.max(0, Math.floor(top / rowPx) - spare);
  const last = Math.min(entries.length, Math.ceil((top + height) / rowPx) + spare);
  return (
    <div
      ref={box}
      className="hv-files-list"
      role="grid"
      tabIndex={0}
      aria-label={props.label}
      aria-multiselectable
      aria-rowcount={entries.length + 1}
      aria-activedescendant={entries.length > 0 ? `${id}-${cursor}` : undefined}
      onKeyDown={keys}
      onScroll={(e) => setTop(e.currentTarget.scrollTop)}
    >
      <div role="row" className="hv-files-head" aria-rowindex={1}>
        <Head {...props} by="name" label="Name" />
        <Head {...props} by="size" label="Size" />
        <Head {...props} by="modified" label="Changed" />
        <span role="columnheader">Permissions</span>
        <span role="columnheader">Owner</span>
      </div>
      <div role="presentation" style={{ height: first * rowPx }} />
      {entries.slice(first, last).map((e, n) => {
        const i = first + n;
        return (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys
          <div
            key={keyAt(i)}
            id={`${id}-${i}`}
            role="row"
            aria-rowindex={i + 2}
            aria-selected={selected.has(keyAt(i))}
            className={i === cursor ? "hv-files-row hv-files-cursor" : "hv-files-row"}
            onClick={(event) => click(event, i)}
            onDoubleClick={() => props.enter(e)}
            onContextMenu={(event) => {
              event.preventDefault();
              if (!selected.has(keyAt(i))) go(i, false);
              props.menu(event.clientX, event.clientY);
            }}
          >
            <Cells entry={e} />
          </div>
        );
      })}
      <div role="presentation" style={{ height: (entries.length - last) * rowPx }} />
    </div>
  );
}

function Head(props: ListingProps & { readonly by: SortKey; readonly label: string }): ReactNode {
  const { sort, setSort, by, label } = props;
  const mine = sort.by === by;
  return (
    <span role="columnheader" aria-sort={mine ? (sort.down ? "descending" : "ascending") : "none"}>
      <button
        type="button"
        className="hv-files-sort"
        onClick={() => setSort({ by, down: mine && !sort.down })}
      >
        {label}
        {mine ? (sort.down ? " ↓" : " ↑") : ""}
      </button>
    </span>
  );
}

function Cells({ entry: e }: { readonly entry: FileEntry }): ReactNode {
  return (
    <>
      <span
        role="gridcell"
        className="hv-files-name"
        title={e.target ? `${e.name.text} → ${e.target.text}` : e.name.text}
      >
        <span
          className={`hv-files-kind hv-files-${isFolder(e) ? "folder" : e.kind}`}
          title={kindWords(e)}
          aria-label={kindWords(e)}
          role="img"
        />
        <bdi className={e.name.raw ? "hv-files-odd" : undefined}>{e.name.text}</bdi>
        {e.target && <bdi className="hv-files-soft"> → {e.target.text}</bdi>}
      </span>
      <span role="gridcell">{e.kind === "file" ? bytes(e.size) : kindWords(e)}</span>
      <span role="gridcell">{dayAndClock(e.modified_ms)}</span>
      <span role="gridcell" className="hv-files-mode">
        {modeWords(e.mode)}
      </span>
      <span role="gridcell">{e.owner === e.group ? e.owner : `${e.owner}:${e.group}`}</span>
    </>
  );
}
