import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { NewOperator, Operator, OperatorChange, OperatorList, RoleList } from "./types.ts";

export const operatorsQuery = queryOptions({
  queryKey: ["operators", "list"],
  queryFn: async ({ signal }) => (await call<OperatorList>("GET", "/api/operators", { signal })).items,
});

export const operatorQuery = (id: string) =>
  queryOptions({
    queryKey: ["operators", "one", id],
    queryFn: ({ signal }) => call<Operator>("GET", `/api/operators/${id}`, { signal }),
  });

/** The roles there are; they change only with the gateway's version. */
export const rolesQuery = queryOptions({
  queryKey: ["roles"],
  queryFn: async ({ signal }) => (await call<RoleList>("GET", "/api/roles", { signal })).items,
  staleTime: Number.POSITIVE_INFINITY,
});

export function useCreateOperator() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: NewOperator) => call<Operator>("POST", "/api/operators", { body }),
    onSuccess: () => client.invalidateQueries({ queryKey: ["operators"] }),
  });
}

/** A change says which revision it was made from: a newer one is not written over. */
export function useUpdateOperator(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ body, revision }: { body: OperatorChange; revision: number }) =>
      call<Operator>("PATCH", `/api/operators/${id}`, { body, ifMatch: revision }),
    onSettled: () => client.invalidateQueries({ queryKey: ["operators"] }),
  });
}

export function useDeleteOperator(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => call<void>("DELETE", `/api/operators/${id}`),
    onSuccess: () => {
      client.removeQueries({ queryKey: ["operators", "one", id] });
      return client.invalidateQueries({ queryKey: ["operators", "list"] });
    },
  });
}

export function useResetPassword(id: string) {
  return useMutation({
    mutationFn: (password: string) =>
      call<void>("POST", `/api/operators/${id}/password`, { body: { password } }),
  });
}
