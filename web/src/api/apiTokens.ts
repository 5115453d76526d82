import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { ApiToken, ApiTokenWish, NewApiToken } from "./types.ts";

/** One's own API tokens, newest first. */
export const apiTokensQuery = queryOptions({
  queryKey: ["api-tokens"],
  queryFn: async ({ signal }): Promise<ApiToken[]> =>
    (await call<{ items: ApiToken[] }>("GET", "/api/me/tokens", { signal })).items,
});

/** Makes a token. The answer holds its text, which cannot be had again. */
export function useCreateApiToken() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: ApiTokenWish) => call<NewApiToken>("POST", "/api/me/tokens", { body }),
    onSuccess: () => void client.invalidateQueries(apiTokensQuery),
    gcTime: 0, // the token is shown once and kept nowhere
  });
}

export function useRevokeApiToken() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => call<void>("DELETE", `/api/me/tokens/${id}`),
    onSuccess: () => client.invalidateQueries(apiTokensQuery),
  });
}
