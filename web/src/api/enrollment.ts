import { infiniteQueryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { EnrollmentTokenList, NewToken, TokenWish } from "./types.ts";

/** Enrollment tokens, newest first. */
export const tokensQuery = infiniteQueryOptions({
  queryKey: ["tokens"],
  queryFn: ({ signal, pageParam }) =>
    call<EnrollmentTokenList>("GET", "/api/enrollment-tokens", {
      query: { limit: 100, after: pageParam },
      signal,
    }),
  initialPageParam: "",
  getNextPageParam: (last) => last.next || undefined,
});

/** Makes a token. The answer holds its text, which cannot be had again. */
export function useCreateToken() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: TokenWish) => call<NewToken>("POST", "/api/enrollment-tokens", { body }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["tokens"] }),
    gcTime: 0, // the token is shown once and kept nowhere
  });
}

export function useRevokeToken() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => call<void>("DELETE", `/api/enrollment-tokens/${id}`),
    onSuccess: () => client.invalidateQueries({ queryKey: ["tokens"] }),
  });
}
