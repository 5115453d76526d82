import { Button, Group, Select, TextInput } from "@mantine/core";
import { useDebouncedCallback, useHotkeys } from "@mantine/hooks";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { type DeviceFilter, devicesQuery } from "../../api/devices.ts";
import { groupsQuery } from "../../api/groups.ts";
import { useMe } from "../../api/me.ts";
import type { Device, DeviceState } from "../../api/types.ts";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { pathWords } from "../../ui/groupTree.ts";
import { DeviceIcon, EnrollIcon, SearchIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { DeviceMark } from "../../ui/marks.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { type Column, RowTable } from "../../ui/RowTable.tsx";
import { Empty, ErrorPanel, SkeletonRows } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";
import { ConnectButton } from "./ConnectButton.tsx";
import { osWords } from "./osWords.ts";

interface DevicesPageProps {
  filter: DeviceFilter;
  onFilter: (filter: DeviceFilter) => void;
}

/** Every device the operator may see: search, filter, connect. */
export function DevicesPage({ filter, onFilter }: DevicesPageProps) {
  const me = useMe();
  const query = useInfiniteQuery(devicesQuery(filter));
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.items) ?? [], [query.data]);
  const filtered = Object.values({ ...filter, sort: undefined }).some((v) => v !== undefined);
  return (
    <Page
      title="Devices"
      actions={
        may(me, "device.enroll") && (
          <ButtonLink to="/enrollment" variant="default" leftSection={<EnrollIcon size={16} />}>
            Enroll devices
          </ButtonLink>
        )
      }
    >
      <Filters filter={filter} onFilter={onFilter} />
      <p className="visually-hidden" role="status">
        {query.isSuccess &&
          `${query.hasNextPage ? "More than " : ""}${countWords(rows.length, "device")} found`}
      </p>
      <div className="panel" aria-busy={query.isFetching && !query.isFetchingNextPage}>
        {query.isPending ? (
          <SkeletonRows rows={8} />
        ) : rows.length > 0 ? (
          <DeviceTable rows={rows} query={query} />
        ) : query.isError ? (
          <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
        ) : filtered ? (
          <Empty
            icon={<SearchIcon size={32} />}
            title="No device matches"
            action={
              <Button variant="default" onClick={() => onFilter({})}>
                Show all devices
              </Button>
            }
          >
            Search looks at names, host names, models, serial numbers and users.
          </Empty>
        ) : (
          <Empty
            icon={<DeviceIcon size={36} />}
            title="No devices yet"
            action={
              may(me, "device.enroll") && <ButtonLink to="/enrollment">Enroll the first device</ButtonLink>
            }
          >
            {may(me, "device.enroll")
              ? "Make an enrollment token and run one command on the device. It appears here by itself."
              : "When an admin enrolls devices in your groups, they appear here."}
          </Empty>
        )}
      </div>
    </Page>
  );
}

function Filters({ filter, onFilter }: DevicesPageProps) {
  const groups = useQuery(groupsQuery);
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(filter.q ?? "");
  useEffect(() => setText(filter.q ?? ""), [filter.q]);
  const search = useDebouncedCallback((q: string) => set({ q: q.trim() || undefined }), 200);
  useHotkeys([["/", () => field.current?.focus()]]);
  const set = (part: Partial<DeviceFilter>) => {
    const next = { ...filter, ...part };
    onFilter(Object.fromEntries(Object.entries(next).filter(([, v]) => v !== undefined && v !== null)));
  };
  return (
    <Group gap="xs" mb="sm" component="search">
      <TextInput
        ref={field}
        aria-label="Search devices"
        placeholder="Search name, model, serial, user…  ( / )"
        leftSection={<SearchIcon size={16} />}
        value={text}
        onChange={(e) => {
          setText(e.currentTarget.value);
          search(e.currentTarget.value);
        }}
        style={{ flex: "3 1 16rem" }}
        type="search"
        maxLength={200}
      />
      <Select
        aria-label="State"
        placeholder="Any state"
        style={{ flex: "1 1 8rem", maxWidth: "13rem" }}
        clearable
        data={[
          { value: "online", label: "Online" },
          { value: "offline", label: "Offline" },
          { value: "revoked", label: "Revoked" },
        ]}
        value={filter.state ?? null}
        onChange={(v) => set({ state: (v ?? undefined) as DeviceState | undefined })}
      />
      <GroupSelect
        aria-label="Group"
        placeholder="Any group"
        style={{ flex: "1 1 8rem", maxWidth: "13rem" }}
        clearable
        groups={groups.data ?? []}
        value={filter.group ?? null}
        onChange={(v) => set({ group: v ?? undefined })}
      />
      <Select
        aria-label="Operating system"
        placeholder="Any system"
        style={{ flex: "1 1 8rem", maxWidth: "13rem" }}
        clearable
        data={[
          { value: "linux", label: "Linux" },
          { value: "windows", label: "Windows" },
          { value: "darwin", label: "macOS" },
        ]}
        value={filter.os ?? null}
        onChange={(v) => set({ os: v ?? undefined })}
      />
      <Select
        aria-label="Order"
        style={{ flex: "1 1 8rem", maxWidth: "13rem" }}
        allowDeselect={false}
        data={[
          { value: "name", label: "By name" },
          { value: "last_seen", label: "Last seen first" },
        ]}
        value={filter.sort ?? "name"}
        onChange={(v) => set({ sort: v === "last_seen" ? "last_seen" : undefined })}
      />
    </Group>
  );
}

type DevicesResult = ReturnType<typeof useInfiniteQuery<{ items: Device[]; next?: string }>>;

function DeviceTable({
  rows,
  query,
}: {
  rows: Device[];
  query: Pick<
    DevicesResult,
    "hasNextPage" | "isFetchingNextPage" | "isFetchNextPageError" | "error" | "fetchNextPage"
  >;
}) {
  const columns = useMemo<Column<Device>[]>(
    () => [
      {
        key: "name",
        header: "Name",
        render: (d) => (
          <>
            <PageLink
              to="/devices/$deviceId"
              params={{ deviceId: d.id }}
              className="row-link one-line"
              display="block"
              underline="never"
            >
              {d.name}
            </PageLink>
            <span className="narrow-only quiet" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
              <DeviceMark state={d.state} />
            </span>
          </>
        ),
      },
      {
        key: "state",
        header: "State",
        width: "7rem",
        wide: true,
        render: (d) => <DeviceMark state={d.state} />,
      },
      {
        key: "os",
        header: "System",
        width: "22%",
        wide: true,
        render: (d) => <span className="one-line">{osWords(d)}</span>,
      },
      {
        key: "group",
        header: "Group",
        width: "20%",
        wide: true,
        render: (d) => <span className="one-line quiet">{pathWords(d.group_path)}</span>,
      },
      {
        key: "seen",
        header: "Last seen",
        width: "8rem",
        wide: true,
        render: (d) => (
          <span className="above-link">{d.state === "online" ? "Now" : <Time at={d.last_seen_at} />}</span>
        ),
      },
      {
        key: "connect",
        header: "Connect",
        quiet: true,
        width: "7.5rem",
        render: (d) =>
          d.may.includes("session.view") && d.state === "online" ? (
            <span className="above-link" style={{ float: "right" }}>
              <ConnectButton device={d} compact />
            </span>
          ) : null,
      },
    ],
    [],
  );
  return (
    <RowTable
      label="Devices"
      columns={columns}
      rows={rows}
      rowKey={(d) => d.id}
      hasMore={query.hasNextPage}
      loadingMore={query.isFetchingNextPage}
      loadMoreError={query.isFetchNextPageError ? query.error : undefined}
      onMore={query.fetchNextPage}
    />
  );
}
