import { Button, Center, Loader } from "@mantine/core";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type CSSProperties, type ReactNode, useEffect, useLayoutEffect, useRef, useState } from "react";
import { ErrorPanel } from "./states.tsx";

export interface Column<T> {
  key: string;
  header: string;
  /** CSS width; the columns without one share what is left. */
  width?: string;
  /** Left out on narrow screens. */
  wide?: boolean;
  /** The header is for screen readers only. */
  quiet?: boolean;
  /** What the header holds beside its words, such as a box that ticks every row. */
  head?: ReactNode;
  render: (row: T) => ReactNode;
}

interface RowTableProps<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  hasMore: boolean;
  loadingMore: boolean;
  loadMoreError?: unknown;
  onMore: () => void;
  /** CSS width below which the table scrolls sideways, its header with it. */
  minWidth?: string | undefined;
}

const rowHeight = 46; // px, of a row of one line; the others are measured

/**
 * A table of any length: only the rows in sight are in the document, and the next page
 * is fetched before the end comes into sight.
 */
export function RowTable<T>(props: RowTableProps<T>) {
  const { columns, rows, hasMore, loadingMore, onMore, loadMoreError } = props;
  const holder = useRef<HTMLDivElement>(null);
  const [offset, setOffset] = useState(0);
  useLayoutEffect(() => {
    if (holder.current) setOffset(holder.current.getBoundingClientRect().top + window.scrollY);
  }, []);
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => rowHeight,
    overscan: 12,
    scrollMargin: offset,
  });
  const items = virtual.getVirtualItems();
  const lastSeen = items.at(-1)?.index ?? -1;
  const nearEnd = lastSeen >= rows.length - 20;
  useEffect(() => {
    if (nearEnd && hasMore && !loadingMore && !loadMoreError) onMore();
  }, [nearEnd, hasMore, loadingMore, loadMoreError, onMore]);

  const before = (items[0]?.start ?? offset) - offset;
  const after = virtual.getTotalSize() - ((items.at(-1)?.end ?? offset) - offset);
  return (
    <div ref={holder} className={props.minWidth ? "rows-wide" : undefined}>
      <table
        className="rows"
        style={props.minWidth ? ({ "--rows-width": props.minWidth } as CSSProperties) : undefined}
        aria-label={props.label}
        aria-rowcount={hasMore ? -1 : rows.length + 1}
      >
        <thead>
          <tr>
            {columns.map((c) => (
              <th
                key={c.key}
                scope="col"
                className={c.wide ? "wide-only" : undefined}
                style={c.width ? { width: c.width } : undefined}
              >
                {c.quiet ? <span className="visually-hidden">{c.header}</span> : c.header}
                {c.head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {before > 0 && <Spacer height={before} />}
          {items.map((item) => {
            const row = rows[item.index];
            if (row === undefined) return null;
            return (
              <tr
                key={props.rowKey(row)}
                ref={virtual.measureElement}
                data-index={item.index}
                data-row
                aria-rowindex={item.index + 2}
              >
                {columns.map((c) => (
                  <td key={c.key} className={c.wide ? "wide-only" : undefined}>
                    {c.render(row)}
                  </td>
                ))}
              </tr>
            );
          })}
          {after > 0 && <Spacer height={after} />}
        </tbody>
      </table>
      {loadingMore && (
        <Center p="sm">
          <Loader size="sm" aria-label="Loading more" />
        </Center>
      )}
      {loadMoreError ? (
        <div style={{ padding: "0.75rem" }}>
          <ErrorPanel error={loadMoreError} title="The rest could not be loaded" onRetry={onMore} />
        </div>
      ) : (
        hasMore &&
        !loadingMore && (
          <Center p="sm">
            <Button variant="default" size="xs" onClick={onMore}>
              Load more
            </Button>
          </Center>
        )
      )}
    </div>
  );
}

function Spacer({ height }: { height: number }) {
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: a row of nothing cannot take the focus
    <tr aria-hidden="true">
      <td style={{ height, padding: 0, border: 0 }} />
    </tr>
  );
}
