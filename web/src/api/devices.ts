import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { call, withQuery } from "./client.ts";
import type {
  ChapterList,
  Device,
  DeviceBulk,
  DeviceBulkDone,
  DeviceChange,
  DeviceLayout,
  DeviceList,
  DeviceState,
  DuplicateList,
  InstalledSoftware,
  Inventory,
  InventoryDifference,
} from "./types.ts";

export interface DeviceFilter {
  q?: string | undefined;
  group?: string | undefined;
  state?: DeviceState | undefined;
  os?: string | undefined;
  label?: string | undefined;
  policy?: string | undefined;
  policy_state?: string | undefined;
  setting?: string | undefined;
  setting_state?: string | undefined;
  compliance?: string | undefined;
  rule?: string | undefined;
  rule_state?: string | undefined;
  software?: string | undefined;
  software_version?: string | undefined;
  software_id?: string | undefined;
  encrypted?: "yes" | "no" | undefined;
  sort?: "name" | "last_seen" | undefined;
}

const pageSize = 100;

/** Devices that match, a page at a time. */
export const devicesQuery = (filter: DeviceFilter) =>
  infiniteQueryOptions({
    queryKey: ["devices", "list", filter],
    queryFn: ({ signal, pageParam }) =>
      call<DeviceList>("GET", "/api/devices", {
        query: { ...filter, limit: pageSize, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (previous) => previous,
  });

/** As many devices as the gateway takes by their ids in one change or order. */
export const mostNamed = 5000;

/**
 * All devices that match now, a large page after the other; `onSome` hears how many have come.
 * By name whatever the list's order is: by last seen, devices would change their place meanwhile.
 */
export async function allDevices(
  filter: DeviceFilter,
  { signal, onSome }: { signal: AbortSignal; onSome: (devices: number) => void },
): Promise<Device[]> {
  const found: Device[] = [];
  let after = "";
  do {
    const page = await call<DeviceList>("GET", "/api/devices", {
      query: { ...filter, sort: "name", limit: 500, after },
      signal,
    });
    found.push(...page.items);
    after = page.next ?? "";
    onSome(found.length);
  } while (after !== "" && found.length <= mostNamed);
  return found;
}

/** Where the devices of a filter are had as a file, in these columns. */
export function devicesFile(filter: DeviceFilter, columns: readonly string[]): string {
  return withQuery("/api/devices/export", { ...filter, columns: columns.join(",") });
}

/** How the one signed in has the list of devices. */
export const deviceLayoutQuery = queryOptions({
  queryKey: ["device-list"],
  queryFn: ({ signal }) => call<DeviceLayout>("GET", "/api/device-list", { signal }),
});

export function useSaveDeviceLayout() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: DeviceLayout) => call<DeviceLayout>("PUT", "/api/device-list", { body }),
    onSuccess: (saved) => client.setQueryData(deviceLayoutQuery.queryKey, saved),
  });
}

/** Devices that seem to be one machine; or those of which somebody said that they are not. */
export const duplicatesQuery = (kept: boolean) =>
  queryOptions({
    queryKey: ["devices", "duplicates", kept],
    queryFn: ({ signal }) =>
      call<DuplicateList>("GET", "/api/devices/duplicates", { query: { kept: kept || undefined }, signal }),
  });

/** Says that they are several machines, or takes it back. */
export function useKeepDuplicate(kept: boolean) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => call<void>(kept ? "PUT" : "DELETE", `/api/devices/duplicates/${id}/kept`),
    onSettled: () => client.invalidateQueries({ queryKey: ["devices", "duplicates"] }),
  });
}

/** Gives a device the place of the one it replaces, and cuts that off. */
export function useReplaceDevice() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, old_id }: { id: string; old_id: string }) =>
      call<Device>("POST", `/api/devices/${id}/replace`, { body: { old_id } }),
    onSettled: () => client.invalidateQueries({ queryKey: ["devices"] }),
  });
}

export function useDeviceBulk() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: DeviceBulk) => call<DeviceBulkDone>("POST", "/api/devices/bulk", { body }),
    onSuccess: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: ["devices"] }),
        client.invalidateQueries({ queryKey: ["labels"] }),
      ]),
  });
}

export const deviceQuery = (id: string) =>
  queryOptions({
    queryKey: ["devices", "one", id],
    queryFn: ({ signal }) => call<Device>("GET", `/api/devices/${id}`, { signal }),
  });

export const inventoryQuery = (id: string) =>
  queryOptions({
    queryKey: ["devices", "inventory", id],
    queryFn: ({ signal }) => call<Inventory>("GET", `/api/devices/${id}/inventory`, { signal }),
  });

/** What is installed on a device, by part of a name. */
export const deviceSoftwareQuery = (id: string, q?: string) =>
  queryOptions({
    queryKey: ["devices", "software", id, q ?? ""],
    queryFn: ({ signal }) =>
      call<InstalledSoftware>("GET", `/api/devices/${id}/software`, { query: { q }, signal }),
    placeholderData: keepPreviousData,
  });

/** What changed on a device, newest first. */
export const historyQuery = (id: string, section?: string) =>
  infiniteQueryOptions({
    queryKey: ["devices", "history", id, section ?? ""],
    queryFn: ({ signal, pageParam }) =>
      call<ChapterList>("GET", `/api/devices/${id}/history`, {
        query: { section, limit: 50, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
  });

/** How the inventory differs between two moments (RFC 3339); "" is now. */
export const inventoryDifferenceQuery = (id: string, from: string, to: string) =>
  queryOptions({
    queryKey: ["devices", "diff", id, from.slice(0, 10), to.slice(0, 10)],
    queryFn: ({ signal }) =>
      call<InventoryDifference>("GET", `/api/devices/${id}/diff`, { query: { from, to }, signal }),
  });

export function useUpdateDevice(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: DeviceChange) => call<Device>("PATCH", `/api/devices/${id}`, { body }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["devices"] }),
  });
}

/** Cuts a device off at once and for good; it can only come back by a new enrollment. */
export function useRevokeDevice(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => call<void>("POST", `/api/devices/${id}/revoke`),
    onSuccess: () => client.invalidateQueries({ queryKey: ["devices"] }),
  });
}

export function useDeleteDevice(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => call<void>("DELETE", `/api/devices/${id}`),
    onSuccess: () => {
      client.removeQueries({ queryKey: ["devices", "one", id] });
      client.removeQueries({ queryKey: ["devices", "inventory", id] });
      return client.invalidateQueries({ queryKey: ["devices", "list"] });
    },
  });
}
