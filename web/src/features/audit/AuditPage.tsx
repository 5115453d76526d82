import { Alert, Button, Group, Text, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { type AuditFilter, auditQuery, useVerifyAudit } from "../../api/audit.ts";
import type { AuditEntry } from "../../api/types.ts";
import { AuditIcon, SearchIcon, ShieldIcon, WarningIcon } from "../../ui/icons.tsx";
import { Page } from "../../ui/Page.tsx";
import { type Column, RowTable } from "../../ui/RowTable.tsx";
import { Empty, ErrorPanel, SkeletonRows } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";
import { actionWords, detailWords, shortName } from "./auditWords.ts";

interface AuditPageProps {
  filter: AuditFilter;
  onFilter: (filter: AuditFilter) => void;
}

const columns: Column<AuditEntry>[] = [
  { key: "at", header: "When", width: "8rem", render: (e) => <Time at={e.at} /> },
  {
    key: "actor",
    header: "Who",
    width: "20%",
    render: (e) => (
      <div className="one-line" title={e.actor.name || e.actor.kind}>
        {shortName(e.actor) || "Handrail"}
      </div>
    ),
  },
  {
    key: "action",
    header: "What",
    render: (e) => (
      <div className="one-line" title={e.target.name}>
        <span style={{ fontWeight: 550 }}>{actionWords(e.action)}</span>
        {e.target.name && <span className="quiet"> · {shortName(e.target)}</span>}
      </div>
    ),
  },
  {
    key: "detail",
    header: "Detail",
    width: "28%",
    wide: true,
    render: (e) => (
      <div className="one-line quiet" title={detailWords(e)}>
        {detailWords(e)}
      </div>
    ),
  },
  {
    key: "remote",
    header: "From",
    width: "9rem",
    wide: true,
    render: (e) => <div className="one-line quiet">{e.address}</div>,
  },
];

/** What people did, in a log that cannot be changed unnoticed. */
export function AuditPage({ filter, onFilter }: AuditPageProps) {
  const query = useInfiniteQuery(auditQuery(filter));
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.items) ?? [], [query.data]);
  const filtered = Object.values(filter).some((v) => v !== undefined);
  const verify = useVerifyAudit();
  return (
    <Page
      title="Audit"
      lead="Who did what. Each entry carries the hash of the one before, so a change would show."
      actions={
        <Button
          variant="default"
          leftSection={<ShieldIcon size={16} />}
          loading={verify.isPending}
          onClick={() => verify.mutate()}
        >
          Verify the log
        </Button>
      }
    >
      <Verdict verify={verify} />
      <AuditSearch filter={filter} onFilter={onFilter} />
      <p className="visually-hidden" role="status">
        {query.isSuccess &&
          `${query.hasNextPage ? "More than " : ""}${countWords(rows.length, "entry", "entries")} found`}
      </p>
      <div className="panel" aria-busy={query.isFetching && !query.isFetchingNextPage}>
        {query.isPending ? (
          <SkeletonRows rows={8} />
        ) : rows.length > 0 ? (
          <RowTable
            label="Audit log"
            columns={columns}
            rows={rows}
            rowKey={(e) => String(e.seq)}
            hasMore={query.hasNextPage}
            loadingMore={query.isFetchingNextPage}
            loadMoreError={query.isFetchNextPageError ? query.error : undefined}
            onMore={query.fetchNextPage}
          />
        ) : query.isError ? (
          <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
        ) : (
          <Empty
            icon={<AuditIcon size={32} />}
            title={filtered ? "No entry matches" : "Nothing recorded yet"}
            action={
              filtered && (
                <Button variant="default" onClick={() => onFilter({})}>
                  Show everything
                </Button>
              )
            }
          />
        )}
      </div>
    </Page>
  );
}

function AuditSearch({ filter, onFilter }: AuditPageProps) {
  const [text, setText] = useState(filter.q ?? "");
  useEffect(() => setText(filter.q ?? ""), [filter.q]);
  const search = useDebouncedCallback((q: string) => {
    const { q: _, ...rest } = filter;
    onFilter(q.trim() === "" ? rest : { ...rest, q: q.trim() });
  }, 250);
  return (
    <Group gap="xs" mb="sm" component="search">
      <TextInput
        aria-label="Search the audit log"
        placeholder="Search who, what, or on what…"
        leftSection={<SearchIcon size={16} />}
        type="search"
        maxLength={200}
        value={text}
        onChange={(e) => {
          setText(e.currentTarget.value);
          search(e.currentTarget.value);
        }}
        style={{ flex: "1 1 16rem" }}
      />
    </Group>
  );
}

function Verdict({ verify }: { verify: ReturnType<typeof useVerifyAudit> }) {
  if (verify.isError) {
    return (
      <div style={{ marginBottom: "1rem" }}>
        <ErrorPanel
          error={verify.error}
          title="The log could not be verified"
          onRetry={() => verify.mutate()}
        />
      </div>
    );
  }
  const verdict = verify.data;
  return (
    <div aria-live="polite">
      {verdict?.ok && (
        <Alert
          color="rail"
          variant="light"
          icon={<ShieldIcon />}
          mb="md"
          withCloseButton
          closeButtonLabel="Close"
          onClose={() => verify.reset()}
          title="The log is whole"
        >
          All {countWords(verdict.entries, "entry", "entries")} follow from one another; none was changed or
          taken out.
        </Alert>
      )}
      {verdict && !verdict.ok && (
        <Alert color="red" icon={<WarningIcon />} mb="md" title="The log has been tampered with">
          <Text>{verdict.reason ?? "An entry does not follow from the one before."}</Text>
        </Alert>
      )}
    </div>
  );
}
