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

/** A change says which revision it was made from: a newer one is not written over. */
export function useUpdateGroup() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, revision, ...body }: GroupChange & { id: string; revision: number }) =>
      call<DeviceGroup>("PATCH", `/api/groups/${id}`, { body, ifMatch: revision }),
    onSettled: () => client.invalidateQueries({ queryKey: ["groups"] }),
  });
}

export function useDeleteGroup() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => call<void>("DELETE", `/api/groups/${id}`),
    onSuccess: () => client.invalidateQueries({ queryKey: ["groups"] }),
  });
}
