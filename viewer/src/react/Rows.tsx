/** A long list of which only the rows in sight are drawn: thousands cost as little as thirty. */
import { type KeyboardEvent, type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";

/** One column. Widths are of CSS grid, as "6em" or "minmax(8em, 1fr)". */
export interface Column<T> {
  readonly id: string;
  readonly label: string;
  readonly width: string;
  /** Figures stand at the right. */
  readonly right?: boolean;
  readonly cell: (row: T) => ReactNode;
}

/** By which column rows are sorted, and whether the largest come first. */
export interface Sorting {
  readonly by: string;
  readonly down: boolean;
}

interface RowsProps<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string | number;
  readonly chosen: string | number | null;
  readonly choose: (row: T) => void;
  readonly sorting?: Sorting;
  readonly sort?: (by: string) => void;
  /** A class for a row, as for what is bad. */
  readonly mark?: (row: T) => string;
  /** Keeps the last row in sight; `left` hears when the person scrolls away from it. */
  readonly following?: boolean;
  readonly left?: (away: boolean) => void;
  /** A running number of the first row, for a list that grows and shrinks at its head: what is read stays in sight. */
  readonly first?: number;
  /** Scrolling has come close to the first row. */
  readonly atTop?: () => void;
  /** Said instead of rows when there are none. */
  readonly empty: string;
}

const rowPx = 26;
/** Rows drawn beyond the edges, so that scrolling shows no gap. */
const spare = 12;

/** See the file's comment. Arrow keys, Page up and down, Home and End move the choice. */
export function Rows<T>(props: RowsProps<T>): ReactNode {
  const { label, columns, rows, keyOf, chosen, choose, sorting, following = false } = props;
  const body = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 600 });
  const first = Math.max(0, Math.floor(seen.top / rowPx) - spare);
  const last = Math.min(rows.length, Math.ceil((seen.top + seen.height) / rowPx) + spare);
  const template = columns.map((c) => c.width).join(" ");

  useEffect(() => {
    const el = body.current;
    if (el === null) return;
    const observer = new ResizeObserver(() =>
      setSeen((s) => (s.height === el.clientHeight ? s : { top: el.scrollTop, height: el.clientHeight })),
    );
    observer.observe(el);
    return () => observer.disconnect();
  }, []);

  const head = useRef(props.first ?? 0);
  useLayoutEffect(() => {
    const el = body.current;
    const moved = (props.first ?? 0) - head.current;
    head.current = props.first ?? 0;
    if (el !== null && moved !== 0 && !following) el.scrollTop = Math.max(0, el.scrollTop - moved * rowPx);
  }, [props.first, following]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: every new list of rows moves the end
  useLayoutEffect(() => {
    const el = body.current;
    if (following && el !== null) el.scrollTop = el.scrollHeight;
  }, [following, rows]);

  const lastTop = useRef(0);
  const scrolled = () => {
    const el = body.current;
    if (el === null) return;
    const away = el.scrollHeight - el.scrollTop - el.clientHeight > rowPx * 2;
    // Rows that come between a scroll and its event are nobody's going away: only who scrolls up goes.
    if (!away) props.left?.(false);
    else if (el.scrollTop < lastTop.current - 1) props.left?.(true);
    lastTop.current = el.scrollTop;
    setSeen({ top: el.scrollTop, height: el.clientHeight });
    if (el.scrollTop < rowPx * 20) props.atTop?.();
  };

  const keys = (e: KeyboardEvent) => {
    const at = rows.findIndex((r) => keyOf(r) === chosen);
    const page = Math.max(1, Math.floor(seen.height / rowPx) - 1);
    const to: Record<string, number> = {
      ArrowDown: at + 1,
      ArrowUp: at < 0 ? 0 : at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: rows.length - 1,
    };
    const next = to[e.key];
    if (next === undefined || rows.length === 0) return;
    e.preventDefault();
    const index = Math.min(rows.length - 1, Math.max(0, next));
    const row = rows[index];
    if (row !== undefined) choose(row);
    const el = body.current;
    if (el === null) return;
    if (index * rowPx < el.scrollTop) el.scrollTop = index * rowPx;
    else if ((index + 1) * rowPx > el.scrollTop + el.clientHeight)
      el.scrollTop = (index + 1) * rowPx - el.clientHeight;
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: a table cannot leave out the rows nobody sees
    <div
      className="hv-rows"
      role="grid"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      tabIndex={-1}
      onKeyDown={keys}
    >
      {/* biome-ignore lint/a11y/useSemanticElements: as above */}
      {/* biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus */}
      <div className="hv-rowhead" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
        {columns.map((c) => (
          // biome-ignore lint/a11y/useSemanticElements: as above
          // biome-ignore lint/a11y/useFocusableInteractive: the button in it has
          <span
            key={c.id}
            role="columnheader"
            className={c.right ? "hv-right" : undefined}
            aria-sort={sorting?.by === c.id ? (sorting.down ? "descending" : "ascending") : undefined}
          >
            {props.sort === undefined ? (
              c.label
            ) : (
              <button type="button" onClick={() => props.sort?.(c.id)}>
                {c.label}
                {sorting?.by === c.id ? (sorting.down ? " ▾" : " ▴") : ""}
              </button>
            )}
          </span>
        ))}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: as above */}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard */}
      <div ref={body} className="hv-rowbody" role="rowgroup" onScroll={scrolled} tabIndex={0}>
        {rows.length === 0 && <p className="hv-empty">{props.empty}</p>}
        <div role="presentation" style={{ height: rows.length * rowPx, position: "relative" }}>
          {rows.slice(first, last).map((row, i) => {
            const key = keyOf(row);
            return (
              // biome-ignore lint/a11y/useSemanticElements: as above
              // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus
              // biome-ignore lint/a11y/useKeyWithClickEvents: the grid takes the keys
              <div
                key={key}
                role="row"
                aria-rowindex={first + i + 2}
                aria-selected={key === chosen}
                className={`hv-row ${props.mark?.(row) ?? ""}`}
                style={{ gridTemplateColumns: template, top: (first + i) * rowPx }}
                onClick={() => choose(row)}
              >
                {columns.map((c) => (
                  // biome-ignore lint/a11y/useSemanticElements: as above
                  // biome-ignore lint/a11y/useFocusableInteractive: the grid has the focus
                  <span key={c.id} role="gridcell" className={c.right ? "hv-right" : undefined}>
                    {c.cell(row)}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
