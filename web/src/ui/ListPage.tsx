import type { ReactNode } from "react";
import { Page, type PageProps } from "./Page.tsx";
import { type Column, RowTable } from "./RowTable.tsx";
import { ErrorPanel, SkeletonRows } from "./states.tsx";

/** What a list asks of its query; one that comes in a single piece has no more. */
export interface ListQuery {
  isPending: boolean;
  isError: boolean;
  isFetching: boolean;
  error: unknown;
  refetch: () => unknown;
  hasNextPage?: boolean;
  isFetchingNextPage?: boolean;
  isFetchNextPageError?: boolean;
  fetchNextPage?: () => unknown;
}

export interface ListProps<T> {
  /** What the table is of, for screen readers. */
  label: string;
  query: ListQuery;
  rows: T[];
  columns: Column<T>[];
  rowKey: (row: T) => string;
  /** In place of the table when there is nothing: why, and what to do about it. */
  empty: ReactNode;
  /** CSS width below which the table scrolls sideways. */
  minWidth?: string | undefined;
}

/** A list in a panel, in each of its states: loading, broken, empty, of any length. */
export function List<T>({ label, query, rows, columns, rowKey, empty, minWidth }: ListProps<T>) {
  return (
    <div className="panel" aria-busy={query.isFetching && !query.isFetchingNextPage}>
      {query.isPending ? (
        <SkeletonRows rows={8} />
      ) : rows.length > 0 ? (
        <RowTable
          label={label}
          columns={columns}
          rows={rows}
          rowKey={rowKey}
          minWidth={minWidth}
          hasMore={query.hasNextPage ?? false}
          loadingMore={query.isFetchingNextPage ?? false}
          loadMoreError={query.isFetchNextPageError ? query.error : undefined}
          onMore={() => query.fetchNextPage?.()}
        />
      ) : query.isError ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        empty
      )}
    </div>
  );
}

interface ListPageProps<T> extends Omit<PageProps, "children">, ListProps<T> {
  /** Fields that choose what is listed. */
  filters?: ReactNode;
  /** How many there are, in words; `quiet`: for screen readers only. */
  count?: ReactNode;
  quiet?: boolean;
  /** What belongs to the page and not to the list: dialogs, panels below it. */
  children?: ReactNode;
}

/** A page that is a list: title and actions, filters, how many, and the rows. */
export function ListPage<T>({ filters, count, quiet, children, ...rest }: ListPageProps<T>) {
  const { label, query, rows, columns, rowKey, empty, minWidth, ...page } = rest;
  return (
    <Page {...page}>
      {filters}
      {count !== undefined && (
        <p className={quiet ? "visually-hidden" : "list-count"} role="status">
          {query.isPending || (query.isError && rows.length === 0) ? null : count}
        </p>
      )}
      <List {...{ label, query, rows, columns, rowKey, empty, minWidth }} />
      {children}
    </Page>
  );
}

/** "12 devices", or "More than 100 devices" while the rest is not loaded. */
export function foundWords(query: ListQuery, words: string): string {
  return `${query.hasNextPage ? "More than " : ""}${words}`;
}
