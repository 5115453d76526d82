import { Button, Checkbox, Group, Select, Text, TextInput } from "@mantine/core";
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
import { LabelBadge } from "../../ui/labelWords.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { DeviceMark } from "../../ui/marks.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { type Column, RowTable } from "../../ui/RowTable.tsx";
import { Empty, ErrorPanel, SkeletonRows } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";
import { ActiveFilters } from "./ActiveFilters.tsx";
import { ChosenDevices } from "./ChosenDevices.tsx";
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
  const total = query.data?.pages[0]?.total;
  const [chosen, setChosen] = useState<ReadonlyMap<string, Device>>(new Map());
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
      <ActiveFilters filter={filter} onFilter={onFilter} />
      <Text size="sm" c="dimmed" role="status" mb={6} mih={20}>
        {query.isSuccess &&
          (total !== undefined
            ? countWords(total, "device")
            : `${query.hasNextPage ? "More than " : ""}${countWords(rows.length, "device")}`)}
      </Text>
      <div className="panel" aria-busy={query.isFetching && !query.isFetchingNextPage}>
        {query.isPending ? (
          <SkeletonRows rows={8} />
        ) : rows.length > 0 ? (
          <DeviceTable rows={rows} query={query} chosen={chosen} onChoose={setChosen} />
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
            Words look at names, host names, models, serial numbers and users. Compare as in{" "}
            <code>openssl &lt; 3.0.15</code>, <code>memory&lt;8GB</code>, <code>no encryption</code> or{" "}
            <code>seen&gt;30d</code>.
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
      {chosen.size > 0 && <ChosenDevices chosen={chosen} onClear={() => setChosen(new Map())} />}
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
        placeholder="Name, serial, user… or openssl < 3.0.15, no encryption  ( / )"
        leftSection={<SearchIcon size={16} />}
        value={text}
        onChange={(e) => {
          setText(e.currentTarget.value);
          search(e.currentTarget.value);
        }}
        style={{ flex: "3 1 16rem" }}
        type="search"
        maxLength={256}
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
  chosen,
  onChoose,
}: {
  rows: Device[];
  chosen: ReadonlyMap<string, Device>;
  onChoose: (chosen: ReadonlyMap<string, Device>) => void;
  query: Pick<
    DevicesResult,
    "hasNextPage" | "isFetchingNextPage" | "isFetchNextPageError" | "error" | "fetchNextPage"
  >;
}) {
  const columns = useMemo<Column<Device>[]>(
    () => [
      {
        key: "choose",
        header: "Choose",
        quiet: true,
        width: "2.5rem",
        wide: true,
        render: (d) => (
          <span className="above-link">
            <Checkbox
              size="xs"
              aria-label={`Choose ${d.name}`}
              checked={chosen.has(d.id)}
              onChange={(e) => {
                const next = new Map(chosen);
                if (e.currentTarget.checked) next.set(d.id, d);
                else next.delete(d.id);
                onChoose(next);
              }}
            />
          </span>
        ),
      },
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
        key: "labels",
        header: "Labels",
        width: "16%",
        wide: true,
        render: (d) => (
          <Group gap={4}>
            {d.labels.slice(0, 3).map((l) => (
              <LabelBadge key={l.id} label={l} />
            ))}
            {d.labels.length > 3 && <span className="quiet">+{d.labels.length - 3}</span>}
          </Group>
        ),
      },
      {
        key: "group",
        header: "Group",
        width: "16%",
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
    [chosen, onChoose],
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
