import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { DeviceGroup, DeviceGroupList, GroupChange, NewGroup } from "./types.ts";

/** Every group of devices the operator may see. */
export const groupsQuery = queryOptions({
  queryKey: ["groups"],
  queryFn: async ({ signal }) => (await call<DeviceGroupList>("GET", "/api/groups", { signal })).items,
});

export function useCreateGroup() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: NewGroup) => call<DeviceGroup>("POST", "/api/groups", { body }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["groups"] }),
  });
}

export function useUpdateGroup() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, ...body }: GroupChange & { id: string }) =>
      call<DeviceGroup>("PATCH", `/api/groups/${id}`, { body }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["groups"] }),
  });
}

export function useDeleteGroup() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => call<void>("DELETE", `/api/groups/${id}`),
    onSuccess: () => client.invalidateQueries({ queryKey: ["groups"] }),
  });
}
