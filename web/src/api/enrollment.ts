import { infiniteQueryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { EnrollmentToken, NewToken, Page } from "./types.ts";

/** Enrollment tokens, newest first. */
export const tokensQuery = infiniteQueryOptions({
  queryKey: ["tokens"],
  queryFn: ({ signal, pageParam }) =>
    call<Page<EnrollmentToken>>("GET", "/api/enrollment-tokens", {
      query: { limit: 100, after: pageParam },
      signal,
    }),
  initialPageParam: "",
  getNextPageParam: (last) => last.next || undefined,
});

export interface TokenWish {
  group_id: string;
  uses: number;
  ttl_seconds: number;
  note: string;
}

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
