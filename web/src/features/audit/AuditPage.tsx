import { Alert, Button, Group, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { type AuditFilter, auditQuery, useVerifyAudit } from "../../api/audit.ts";
import type { AuditEntry } from "../../api/types.ts";
import { AuditIcon, ShieldIcon, WarningIcon } from "../../ui/icons.tsx";
import { foundWords, ListPage } from "../../ui/ListPage.tsx";
import type { Column } from "../../ui/RowTable.tsx";
import { Search } from "../../ui/Search.tsx";
import { Empty, ErrorPanel, NoMatch } from "../../ui/states.tsx";
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
    wide: true,
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
        <div className="narrow-only quiet" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
          {shortName(e.actor) || "Handrail"}
        </div>
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
    <ListPage
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
      filters={
        <>
          <Verdict verify={verify} />
          <Group gap="xs" mb="sm" component="search">
            <Search
              label="Search the audit log"
              placeholder="Search who, what, or on what…"
              value={filter.q}
              onChange={(q) => onFilter({ ...filter, q })}
            />
          </Group>
        </>
      }
      count={foundWords(query, `${countWords(rows.length, "entry", "entries")} found`)}
      quiet
      label="Audit log"
      query={query}
      rows={rows}
      columns={columns}
      rowKey={(e) => String(e.seq)}
      empty={
        filtered ? (
          <NoMatch title="No entry matches" verb="Show everything" onAll={() => onFilter({})} />
        ) : (
          <Empty icon={<AuditIcon size={36} />} title="Nothing recorded yet" />
        )
      }
    />
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
