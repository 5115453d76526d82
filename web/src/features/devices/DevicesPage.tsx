import { Button, Group, Menu, Select } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { assetFieldsQuery } from "../../api/assets.ts";
import {
  type DeviceFilter,
  deviceLayoutQuery,
  devicesFile,
  devicesQuery,
  useSaveDeviceLayout,
} from "../../api/devices.ts";
import { groupsQuery } from "../../api/groups.ts";
import { useMe } from "../../api/me.ts";
import type { Device, DeviceLayout, DeviceState, View } from "../../api/types.ts";
import { useReplaceView, viewsQuery } from "../../api/views.ts";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { IconButton } from "../../ui/IconButton.tsx";
import { ColumnsIcon, DeviceIcon, EnrollIcon, ExportIcon, MoreIcon } from "../../ui/icons.tsx";
import { foundWords, ListPage } from "../../ui/ListPage.tsx";
import { ButtonLink } from "../../ui/links.tsx";
import { may } from "../../ui/permissions.ts";
import { Search } from "../../ui/Search.tsx";
import { Empty, NoMatch } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { ActiveFilters } from "./ActiveFilters.tsx";
import { ChosenDevices } from "./ChosenDevices.tsx";
import { ColumnsDialog } from "./ColumnsDialog.tsx";
import { columnsOf, type DeviceColumn, deviceColumns } from "./deviceColumns.tsx";
import { roomOf, useTableColumns } from "./deviceTable.tsx";
import { MatchingOffer } from "./MatchingOffer.tsx";
import { noView, ViewsMenu } from "./ViewsMenu.tsx";

interface DevicesPageProps {
  filter: DeviceFilter;
  /** Id of the saved view the list was opened with; `noView`: none, not even one's own first. */
  view: string | undefined;
  onOpen: (filter: DeviceFilter, view: string | undefined) => void;
}

const wideRoom = 74; // rem of columns beyond which the page takes the whole window

/** Every device the operator may see: search, filter, keep as a view, connect. */
export function DevicesPage({ filter, view, onOpen }: DevicesPageProps) {
  const me = useMe();
  const desk = useDesk({ filter, view, onOpen });
  const query = useInfiniteQuery({ ...devicesQuery(filter), enabled: !desk.waits });
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.items) ?? [], [query.data]);
  const filtered = !isBare(filter);
  const total = query.data?.pages[0]?.total;
  const [chosen, setChosen] = useState<ReadonlyMap<string, Device>>(new Map());
  const [choosing, setChoosing] = useState(false);
  const key = JSON.stringify(filter);
  const [offered, setOffered] = useState(""); // the filter of which all that is listed was ticked at once
  const choose = useCallback(
    (next: ReadonlyMap<string, Device>, listed?: boolean) => {
      setChosen(next);
      if (listed !== undefined) setOffered(listed ? key : "");
    },
    [key],
  );
  const columns = useTableColumns(desk.columns, rows, chosen, choose);
  const offers = offered === key && (query.hasNextPage || rows.some((d) => !chosen.has(d.id)));
  const room = roomOf(desk.columns);
  // Once all filters are taken away, the list is that of the view no more.
  const onFilter = (next: DeviceFilter) =>
    onOpen(next, isBare(next) && (desk.open?.filter || view === undefined) ? desk.noView : view);
  return (
    <ListPage
      title="Devices"
      wide={room > wideRoom}
      actions={<DevicesActions />}
      filters={
        <>
          <Filters filter={filter} onFilter={onFilter} />
          <ActiveFilters filter={filter} onFilter={onFilter} />
          <Group gap="xs" mb="xs">
            <ViewsMenu
              views={desk.views}
              open={desk.open}
              filter={filter}
              columns={desk.columns.map((c) => c.key)}
              layout={desk.layout}
              onOpen={desk.openView}
            />
            <Button
              variant="default"
              leftSection={<ColumnsIcon size={16} />}
              onClick={() => setChoosing(true)}
            >
              Columns
            </Button>
            {rows.length > 0 && (
              <Button
                component="a"
                variant="default"
                leftSection={<ExportIcon size={16} />}
                href={devicesFile(filter, ["name", ...desk.columns.map((c) => c.key)])}
                download="devices.csv"
                title="All devices of this list as CSV, with these columns"
              >
                Export
              </Button>
            )}
          </Group>
        </>
      }
      count={
        total !== undefined
          ? countWords(total, "device")
          : foundWords(query, countWords(rows.length, "device"))
      }
      label="Devices"
      query={query}
      rows={rows}
      columns={columns}
      rowKey={(d) => d.id}
      minWidth={`${roomOf(desk.columns, true)}rem`}
      empty={
        filtered ? (
          <NoMatch title="No device matches" verb="Show all devices" onAll={() => onOpen({}, noView)}>
            Words look at names, host names, models, serial numbers and users. Compare as in{" "}
            <code>openssl &lt; 3.0.15</code>, <code>memory&lt;8GB</code>, <code>no encryption</code> or{" "}
            <code>seen&gt;30d</code>.
          </NoMatch>
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
        )
      }
    >
      {chosen.size > 0 && (
        <ChosenDevices
          chosen={chosen}
          onClear={() => {
            setChosen(new Map());
            setOffered("");
          }}
          more={
            offers &&
            total !== undefined && (
              <MatchingOffer
                key={key}
                filter={filter}
                filtered={filtered}
                total={total}
                listed={rows.length}
                onChoose={(devices) => {
                  setChosen((before) => new Map([...before, ...devices.map((d) => [d.id, d] as const)]));
                  setOffered("");
                }}
              />
            )
          }
        />
      )}
      {choosing && <Columns desk={desk} onClose={() => setChoosing(false)} />}
    </ListPage>
  );
}

const isBare = (filter: DeviceFilter) =>
  Object.values({ ...filter, sort: undefined }).every((v) => v === undefined);

interface Desk {
  views: readonly View[];
  open: View | undefined;
  layout: DeviceLayout | undefined;
  all: readonly DeviceColumn[];
  columns: DeviceColumn[];
  /** The list is about to open with another view than none. */
  waits: boolean;
  openView: (view: View | null) => void;
  /** What the address says where no view is open. */
  noView: string | undefined;
}

/** What the operator made of the list: views, columns, and what it opens with. */
function useDesk({ filter, view, onOpen }: DevicesPageProps): Desk {
  const views = useQuery(viewsQuery);
  const layout = useQuery(deviceLayoutQuery);
  const fields = useQuery(assetFieldsQuery).data?.fields;
  const all = useMemo(() => deviceColumns(fields ?? []), [fields]);
  const list = views.data?.items ?? [];
  const open = list.find((v) => v.id === view);
  const columns = useMemo(
    () => columnsOf(open?.columns.length ? open.columns : (layout.data?.columns ?? []), all),
    [open, layout.data, all],
  );
  const none = layout.data?.view_id ? noView : undefined;
  const openView = (v: View | null) =>
    v
      ? onOpen({ q: v.filter || undefined, sort: v.sort === "last_seen" ? "last_seen" : undefined }, v.id)
      : onOpen({}, none);
  // An address without a filter: the view that it names, else one's own first.
  const bare = view !== noView && isBare(filter);
  const wanted = view ?? layout.data?.view_id ?? "";
  const named = bare && wanted !== "" ? list.find((v) => v.id === wanted) : undefined;
  const first = named && (named.filter !== "" || view === undefined) ? named : undefined;
  const waits =
    bare &&
    ((view === undefined && layout.isPending) || first !== undefined || (wanted !== "" && views.isPending));
  const opening = first?.id;
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each first view
  useEffect(() => {
    if (first) openView(first);
  }, [opening]);
  return { views: list, open, layout: layout.data, all, columns, waits, openView, noView: none };
}

function Columns({ desk, onClose }: { desk: Desk; onClose: () => void }) {
  const replace = useReplaceView();
  const save = useSaveDeviceLayout();
  const mine = desk.open?.mine ? desk.open : undefined;
  return (
    <ColumnsDialog
      all={desk.all}
      chosen={desk.columns}
      kept={
        mine ? `They are kept with the view ${mine.name}.` : "They are kept for you, wherever you sign in."
      }
      busy={replace.isPending || save.isPending}
      error={replace.error ?? save.error}
      onClose={onClose}
      onSave={(columns) => {
        if (mine) {
          const { id, name, shared, filter, sort } = mine;
          replace.mutate({ id, name, shared, filter, sort, columns }, { onSuccess: onClose });
          return;
        }
        save.mutate(
          { columns, view_id: desk.layout?.view_id ?? "" },
          {
            onSuccess: () => {
              onClose();
              // The columns of somebody else's view are theirs: one's own show without it.
              if (desk.open) desk.openView(null);
            },
          },
        );
      }}
    />
  );
}

function DevicesActions() {
  const me = useMe();
  const navigate = useNavigate();
  return (
    <>
      {may(me, "device.enroll") && (
        <ButtonLink to="/enrollment" variant="default" leftSection={<EnrollIcon size={16} />}>
          Enroll devices
        </ButtonLink>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <IconButton label="More about devices" variant="default" size={36}>
            <MoreIcon />
          </IconButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => void navigate({ to: "/devices/duplicates" })}>
            Suspected duplicates
          </Menu.Item>
          <Menu.Item onClick={() => void navigate({ to: "/assets" })}>Asset fields and import</Menu.Item>
          <Menu.Item onClick={() => void navigate({ to: "/software" })}>Software on all devices</Menu.Item>
        </Menu.Dropdown>
      </Menu>
    </>
  );
}

function Filters({ filter, onFilter }: { filter: DeviceFilter; onFilter: (f: DeviceFilter) => void }) {
  const groups = useQuery(groupsQuery);
  const field = useRef<HTMLInputElement>(null);
  useHotkeys([["/", () => field.current?.focus()]]);
  const set = (part: Partial<DeviceFilter>) => {
    const next = { ...filter, ...part };
    onFilter(Object.fromEntries(Object.entries(next).filter(([, v]) => v !== undefined && v !== null)));
  };
  return (
    <Group gap="xs" mb="sm" component="search">
      <Search
        ref={field}
        label="Search devices"
        placeholder="Name, serial, user… or openssl < 3.0.15, no encryption  ( / )"
        value={filter.q}
        onChange={(q) => set({ q })}
        maxLength={1024}
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
