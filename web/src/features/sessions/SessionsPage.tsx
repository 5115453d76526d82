import { Button, Group, Select } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { deviceQuery } from "../../api/devices.ts";
import { useMe } from "../../api/me.ts";
import { operatorsQuery } from "../../api/operators.ts";
import { type SessionFilter, sessionsQuery } from "../../api/sessions.ts";
import type { SessionStateName, SupportSession } from "../../api/types.ts";
import { SessionIcon } from "../../ui/icons.tsx";
import { foundWords, ListPage } from "../../ui/ListPage.tsx";
import { ButtonLink, RowLink } from "../../ui/links.tsx";
import { SessionMark, sessionStateWords } from "../../ui/marks.tsx";
import { may } from "../../ui/permissions.ts";
import type { Column } from "../../ui/RowTable.tsx";
import { Empty, NoMatch } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";

interface SessionsPageProps {
  filter: SessionFilter;
  onFilter: (filter: SessionFilter) => void;
}

const states: SessionStateName[] = [
  "requested",
  "consented",
  "live",
  "ended",
  "declined",
  "expired",
  "failed",
];

const columns: Column<SupportSession>[] = [
  {
    key: "device",
    header: "Device",
    render: (s) => (
      <>
        <RowLink to="/sessions/$sessionId" params={{ sessionId: s.id }}>
          {s.device_name}
        </RowLink>
        <span className="narrow-only quiet" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
          {s.operator_name}
        </span>
      </>
    ),
  },
  { key: "state", header: "State", width: "11.5rem", render: (s) => <SessionMark state={s.state} /> },
  {
    key: "operator",
    header: "Operator",
    width: "18%",
    wide: true,
    render: (s) => <span className="one-line">{s.operator_name}</span>,
  },
  {
    key: "reason",
    header: "Reason",
    width: "28%",
    wide: true,
    render: (s) => <div className="one-line quiet">{s.reason}</div>,
  },
  {
    key: "at",
    header: "Asked",
    width: "8rem",
    wide: true,
    render: (s) => (
      <span className="above-link">
        <Time at={s.requested_at} />
      </span>
    ),
  },
];

/** Every session the operator may see, newest first. */
export function SessionsPage({ filter, onFilter }: SessionsPageProps) {
  const query = useInfiniteQuery(sessionsQuery(filter));
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.items) ?? [], [query.data]);
  const filtered = Object.values(filter).some((v) => v !== undefined);
  return (
    <ListPage
      title="Sessions"
      lead="Who looked at which device, when, and what came of it."
      filters={<SessionFilters filter={filter} onFilter={onFilter} />}
      count={foundWords(query, `${countWords(rows.length, "session")} found`)}
      quiet
      label="Sessions"
      query={query}
      rows={rows}
      columns={columns}
      rowKey={(s) => s.id}
      empty={
        filtered ? (
          <NoMatch title="No session matches" verb="Show all sessions" onAll={() => onFilter({})} />
        ) : (
          <Empty
            icon={<SessionIcon size={36} />}
            title="No sessions yet"
            action={<ButtonLink to="/devices">Go to devices</ButtonLink>}
          >
            Open a device and connect. Each session is kept here with its timeline.
          </Empty>
        )
      }
    />
  );
}

function SessionFilters({ filter, onFilter }: SessionsPageProps) {
  const me = useMe();
  const operators = useQuery({ ...operatorsQuery, enabled: may(me, "operator.view") });
  const device = useQuery({ ...deviceQuery(filter.device ?? ""), enabled: filter.device !== undefined });
  const set = (part: Partial<SessionFilter>) => onFilter({ ...filter, ...part });
  return (
    <Group gap="xs" mb="sm" component="search">
      <Select
        aria-label="State"
        placeholder="Any state"
        w={190}
        clearable
        data={[
          { value: "open", label: "Not over" },
          ...states.map((s) => ({ value: s, label: sessionStateWords(s) })),
        ]}
        value={filter.state ?? null}
        onChange={(v) => set({ state: (v ?? undefined) as SessionFilter["state"] })}
      />
      {operators.data && (
        <Select
          aria-label="Operator"
          placeholder="Any operator"
          w={200}
          clearable
          searchable
          data={operators.data.map((o) => ({ value: o.id, label: o.name }))}
          value={filter.operator ?? null}
          onChange={(v) => set({ operator: v ?? undefined })}
        />
      )}
      {filter.device && (
        <Button
          variant="default"
          onClick={() => set({ device: undefined })}
          aria-label="Show sessions of all devices"
        >
          Device: {device.data?.name ?? "…"} ✕
        </Button>
      )}
    </Group>
  );
}
