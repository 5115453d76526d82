import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { View, ViewList, ViewWish } from "./types.ts";

/** Saved searches: one's own and the shared. */
export const viewsQuery = queryOptions({
  queryKey: ["views"],
  queryFn: ({ signal }) => call<ViewList>("GET", "/api/views", { signal }),
});

function useViewChange<V, R>(change: (input: V) => Promise<R>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: () => client.invalidateQueries({ queryKey: viewsQuery.queryKey }),
  });
}

export function useCreateView() {
  return useViewChange((body: ViewWish) => call<View>("POST", "/api/views", { body }));
}

export function useReplaceView() {
  return useViewChange(({ id, ...body }: ViewWish & { id: string }) =>
    call<View>("PUT", `/api/views/${id}`, { body }),
  );
}

export function useDeleteView() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => call<void>("DELETE", `/api/views/${id}`),
    onSuccess: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: viewsQuery.queryKey }),
        client.invalidateQueries({ queryKey: ["device-list"] }),
      ]),
  });
}
