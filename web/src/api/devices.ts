import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { Device, DeviceBulk, DeviceChange, DeviceList, DeviceState, Inventory } from "./types.ts";

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

export function useDeviceBulk() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: DeviceBulk) => call<unknown>("POST", "/api/devices/bulk", { body }),
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
