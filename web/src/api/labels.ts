import { keepPreviousData, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { Label, LabelChange, LabelList, LabelPreview, LabelWish } from "./types.ts";

export const labelsQuery = queryOptions({
  queryKey: ["labels", "list"],
  queryFn: ({ signal }) => call<LabelList>("GET", "/api/labels", { signal }),
});

/** Which devices an expression would match now, or what is wrong with it. */
export const labelPreviewQuery = (expression: string) =>
  queryOptions({
    queryKey: ["labels", "preview", expression],
    queryFn: ({ signal }) =>
      call<LabelPreview>("POST", "/api/labels/preview", { body: { expression }, signal }),
    enabled: expression.trim() !== "",
    staleTime: 30_000,
    retry: false,
    placeholderData: keepPreviousData,
  });

function useLabelChange<V, R>(change: (input: V) => Promise<R>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: ["labels"] }),
        client.invalidateQueries({ queryKey: ["devices"] }),
      ]),
  });
}

export function useCreateLabel() {
  return useLabelChange((body: LabelWish) => call<Label>("POST", "/api/labels", { body }));
}

/** A change says which revision it was made from: a newer one is not written over. */
export function useChangeLabel(id: string) {
  return useLabelChange(({ body, revision }: { body: LabelChange; revision: number }) =>
    call<Label>("PATCH", `/api/labels/${id}`, { body, ifMatch: revision }),
  );
}

export function useDeleteLabel(id: string) {
  return useLabelChange(() => call<void>("DELETE", `/api/labels/${id}`));
}
