import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type {
  Assignment,
  Catalogue,
  Effect,
  Policy,
  PolicyChange,
  PolicyDifference,
  PolicyList,
  PolicySetting,
  PolicyVersion,
  PolicyVersionList,
  PolicyWish,
  Rollout,
  RolloutDeviceList,
  RolloutList,
  RolloutPlan,
  SettingsOfDevice,
  WhatIfWish,
} from "./types.ts";

/** Every setting there is; it changes with the gateway's version only. */
export const catalogueQuery = queryOptions({
  queryKey: ["catalogue"],
  queryFn: ({ signal }) => call<Catalogue>("GET", "/api/catalogue", { signal }),
  staleTime: Number.POSITIVE_INFINITY,
});

/** Policies by name; with a group, only those that are assigned to it itself. */
export const policiesQuery = (q?: string, group?: string) =>
  infiniteQueryOptions({
    queryKey: ["policies", "list", q ?? "", group ?? ""],
    queryFn: ({ signal, pageParam }) =>
      call<PolicyList>("GET", "/api/policies", { query: { q, group, limit: 100, after: pageParam }, signal }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (previous) => previous,
  });

export const policyQuery = (id: string) =>
  queryOptions({
    queryKey: ["policies", "one", id],
    queryFn: ({ signal }) => call<Policy>("GET", `/api/policies/${id}`, { signal }),
  });

export const versionsQuery = (id: string) =>
  queryOptions({
    queryKey: ["policies", "one", id, "versions"],
    queryFn: ({ signal }) => call<PolicyVersionList>("GET", `/api/policies/${id}/versions`, { signal }),
  });

export const versionQuery = (id: string, number: number) =>
  queryOptions({
    queryKey: ["policies", "one", id, "versions", number],
    queryFn: ({ signal }) => call<PolicyVersion>("GET", `/api/policies/${id}/versions/${number}`, { signal }),
    staleTime: Number.POSITIVE_INFINITY, // versions never change
  });

/** What differs between two versions, or a version and the draft. */
export const differenceQuery = (id: string, from: number | "draft", to: number | "draft", revision: number) =>
  queryOptions({
    queryKey: ["policies", "one", id, "diff", from, to, revision],
    queryFn: ({ signal }) =>
      call<PolicyDifference>("GET", `/api/policies/${id}/diff`, { query: { from, to }, signal }),
  });

function usePolicyChange<V, R = Policy>(change: (input: V) => Promise<R>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: ["policies"] }),
        client.invalidateQueries({ queryKey: ["rollouts"] }),
      ]),
  });
}

export function useCreatePolicy() {
  return usePolicyChange((body: PolicyWish) => call<Policy>("POST", "/api/policies", { body }));
}

export function useUpdatePolicy(id: string, revision: number) {
  return usePolicyChange((body: PolicyChange) =>
    call<Policy>("PATCH", `/api/policies/${id}`, { body, ifMatch: revision }),
  );
}

export function useDeletePolicy(id: string, revision: number) {
  return usePolicyChange(() => call<void>("DELETE", `/api/policies/${id}`, { ifMatch: revision }));
}

export function useSaveDraft(id: string) {
  return usePolicyChange(({ settings, revision }: { settings: PolicySetting[]; revision: number }) =>
    call<Policy>("PUT", `/api/policies/${id}/draft`, { body: { settings }, ifMatch: revision }),
  );
}

export function useDiscardDraft(id: string, revision: number) {
  return usePolicyChange(() => call<Policy>("DELETE", `/api/policies/${id}/draft`, { ifMatch: revision }));
}

/** Makes the draft a version and brings it to devices, in stages if there is a plan. */
export function usePublish(id: string) {
  return usePolicyChange(({ revision, ...body }: { note: string; rollout?: RolloutPlan; revision: number }) =>
    call<Policy>("POST", `/api/policies/${id}/publish`, { body, ifMatch: revision }),
  );
}

/** Puts another version in force, in stages if there is a plan; 0 takes the policy off all devices. */
export function useActivate(id: string, revision: number) {
  return usePolicyChange((body: { version: number; rollout?: RolloutPlan }) =>
    call<Policy>("POST", `/api/policies/${id}/activate`, { body, ifMatch: revision }),
  );
}

export function useAssign(id: string) {
  return usePolicyChange(({ assignments, revision }: { assignments: Assignment[]; revision: number }) =>
    call<Policy>("PUT", `/api/policies/${id}/assignments`, { body: { assignments }, ifMatch: revision }),
  );
}

/** What would change for which devices, without changing it. */
export function useWhatIf(id: string) {
  return useMutation({
    mutationFn: (body: WhatIfWish) => call<Effect>("POST", `/api/policies/${id}/what-if`, { body }),
  });
}

export const rolloutsQuery = (policy?: string) =>
  queryOptions({
    queryKey: ["rollouts", policy ?? ""],
    queryFn: ({ signal }) => call<RolloutList>("GET", "/api/rollouts", { query: { policy }, signal }),
  });

/** Roll-outs of all policies, the newest first, a page at a time. */
export const allRolloutsQuery = (state: Rollout["state"] | undefined) =>
  infiniteQueryOptions({
    queryKey: ["rollouts", "all", state ?? ""],
    queryFn: ({ signal, pageParam }) =>
      call<RolloutList>("GET", "/api/rollouts", { query: { state, limit: 50, after: pageParam }, signal }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (previous) => previous,
  });

/** Devices that a roll-out under way has reached and that stand so, a page at a time. */
export const rolloutDevicesQuery = (id: string, state: "applied" | "pending" | "failed") =>
  infiniteQueryOptions({
    queryKey: ["rollouts", "devices", id, state],
    queryFn: ({ signal, pageParam }) =>
      call<RolloutDeviceList>("GET", `/api/rollouts/${id}/devices`, {
        query: { state, limit: 50, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
  });

export function useSteerRollout(id: string) {
  return usePolicyChange((verb: "pause" | "resume" | "next" | "stop") =>
    call<Rollout>("POST", `/api/rollouts/${id}/${verb}`, { body: {} }),
  );
}

/** What a device must be, and how each setting of it stands. */
export const deviceSettingsQuery = (device: string) =>
  queryOptions({
    queryKey: ["settings", device],
    queryFn: ({ signal }) => call<SettingsOfDevice>("GET", `/api/devices/${device}/settings`, { signal }),
  });
