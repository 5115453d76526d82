import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type {
  Capability,
  SessionStateName,
  SessionWish,
  SupportSession,
  SupportSessionDetail,
  SupportSessionList,
} from "./types.ts";

export interface SessionFilter {
  device?: string | undefined;
  operator?: string | undefined;
  /** "open" is every state but the final ones. */
  state?: SessionStateName | "open" | undefined;
}

/** Support sessions, newest first, a page at a time. */
export const sessionsQuery = (filter: SessionFilter, limit = 50) =>
  infiniteQueryOptions({
    queryKey: ["sessions", "list", filter, limit],
    queryFn: ({ signal, pageParam }) =>
      call<SupportSessionList>("GET", "/api/sessions", {
        query: { ...filter, limit, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (previous) => previous,
  });

/** One's own sessions on a device that are not over. */
export const ownOpenQuery = (device: string, operator: string) =>
  queryOptions({
    queryKey: ["sessions", "open", device, operator],
    queryFn: async ({ signal }) => {
      const query = { device, operator, state: "open", limit: 5 };
      return (await call<SupportSessionList>("GET", "/api/sessions", { query, signal })).items;
    },
  });

/** One session with its timeline. */
export const sessionQuery = (id: string) =>
  queryOptions({
    queryKey: ["sessions", "one", id],
    queryFn: ({ signal }) => call<SupportSessionDetail>("GET", `/api/sessions/${id}`, { signal }),
  });

/** Asks for a session on a device. */
export function requestSession(body: SessionWish): Promise<SupportSession> {
  return call<SupportSession>("POST", "/api/sessions", { body });
}

export function useEndSession(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (reason: string) => call<void>("POST", `/api/sessions/${id}/end`, { body: { reason } }),
    onSuccess: () => void client.invalidateQueries({ queryKey: ["sessions"] }),
  });
}

/** Asks the person at the device for more in a session that lives. */
export function askCapabilities(id: string, wanted: Capability[]): Promise<void> {
  return call<void>("POST", `/api/sessions/${id}/ask`, { body: { capabilities: wanted } });
}
