import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type {
  Bulk,
  BulkList,
  Cancelled,
  CommandDetail,
  CommandKindList,
  CommandList,
  CommandOrder,
  CommandPreview,
  CommandTarget,
  Ordered,
  Script,
  ScriptChange,
  ScriptDetail,
  ScriptList,
  ScriptVersionWish,
  ScriptWish,
} from "./types.ts";

/** What devices can be told to do; it changes with the gateway's version only. */
export const commandKindsQuery = queryOptions({
  queryKey: ["command-kinds"],
  queryFn: ({ signal }) => call<CommandKindList>("GET", "/api/command-kinds", { signal }),
  staleTime: Number.POSITIVE_INFINITY,
});

export interface CommandFilter {
  device?: string | undefined;
  bulk?: string | undefined;
  kind?: string | undefined;
  state?: string | undefined;
}

export const commandsQuery = (filter: CommandFilter) =>
  infiniteQueryOptions({
    queryKey: ["commands", "list", filter],
    queryFn: ({ signal, pageParam }) =>
      call<CommandList>("GET", "/api/commands", {
        query: { ...filter, limit: 100, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (previous) => previous,
  });

export const commandQuery = (id: string) =>
  queryOptions({
    queryKey: ["commands", "one", id],
    queryFn: ({ signal }) => call<CommandDetail>("GET", `/api/commands/${id}`, { signal }),
  });

/** Orders with their progress, newest first. */
export const bulksQuery = infiniteQueryOptions({
  queryKey: ["commands", "bulks"],
  queryFn: ({ signal, pageParam }) =>
    call<BulkList>("GET", "/api/bulks", { query: { limit: 100, after: pageParam }, signal }),
  initialPageParam: "",
  getNextPageParam: (last) => last.next || undefined,
});

export const bulkQuery = (id: string) =>
  queryOptions({
    queryKey: ["commands", "bulk", id],
    queryFn: ({ signal }) => call<Bulk>("GET", `/api/bulks/${id}`, { signal }),
  });

function useCommandChange<V, R>(change: (input: V) => Promise<R>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () => client.invalidateQueries({ queryKey: ["commands"] }),
  });
}

/** Whom an order would reach. */
export const commandPreviewQuery = (target: CommandTarget) =>
  queryOptions({
    queryKey: ["commands", "preview", target],
    queryFn: ({ signal }) => call<CommandPreview>("POST", "/api/commands/preview", { body: target, signal }),
  });

export function useOrderCommands() {
  return useCommandChange((body: CommandOrder) => call<Ordered>("POST", "/api/commands", { body }));
}

export function useCancelCommand(id: string) {
  return useCommandChange(() => call<Cancelled>("POST", `/api/commands/${id}/cancel`));
}

export function useSteerBulk(id: string) {
  return useCommandChange((verb: "cancel" | "approve") => call<unknown>("POST", `/api/bulks/${id}/${verb}`));
}

export const scriptsQuery = queryOptions({
  queryKey: ["scripts", "list"],
  queryFn: ({ signal }) => call<ScriptList>("GET", "/api/scripts", { signal }),
});

export const scriptQuery = (id: string) =>
  queryOptions({
    queryKey: ["scripts", "one", id],
    queryFn: ({ signal }) => call<ScriptDetail>("GET", `/api/scripts/${id}`, { signal }),
  });

function useScriptMutation<V, R>(change: (input: V) => Promise<R>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: () => client.invalidateQueries({ queryKey: ["scripts"] }),
  });
}

export function useCreateScript() {
  return useScriptMutation((body: ScriptWish) => call<ScriptDetail>("POST", "/api/scripts", { body }));
}

export function useChangeScript(id: string) {
  return useScriptMutation((body: ScriptChange) => call<Script>("PATCH", `/api/scripts/${id}`, { body }));
}

export function useAddScriptVersion(id: string) {
  return useScriptMutation((body: ScriptVersionWish) => call<unknown>("PUT", `/api/scripts/${id}`, { body }));
}
