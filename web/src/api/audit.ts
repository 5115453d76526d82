import { infiniteQueryOptions, useMutation } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { AuditList, AuditVerdict } from "./types.ts";

export interface AuditFilter {
  q?: string | undefined;
  actor?: string | undefined;
  action?: string | undefined;
}

/** The audit log, newest first, a page at a time. */
export const auditQuery = (filter: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: ["audit", filter],
    queryFn: ({ signal, pageParam }) =>
      call<AuditList>("GET", "/api/audit", {
        query: { ...filter, limit: 100, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (previous) => previous,
  });

/** Has the gateway check the whole chain of hashes. */
export function useVerifyAudit() {
  return useMutation({ mutationFn: () => call<AuditVerdict>("GET", "/api/audit/verify") });
}
