import { infiniteQueryOptions, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call, callFile, withQuery } from "./client.ts";
import type {
  Compliance,
  ComplianceDeviceList,
  ComplianceRule,
  ComplianceRuleChange,
  ComplianceRuleList,
  ComplianceRuleWish,
  ComplianceTrial,
  ComplianceTrialWish,
  DeviceCompliance,
  Remedy,
  Waiver,
  WaiverList,
  WaiverWish,
} from "./types.ts";

/** How the devices stand, now or at a moment in the past (RFC 3339). */
export const complianceQuery = (asOf?: string) =>
  queryOptions({
    queryKey: ["compliance", "dashboard", asOf ?? ""],
    queryFn: ({ signal }) => call<Compliance>("GET", "/api/compliance", { query: { as_of: asOf }, signal }),
    // What is behind is asked for until it is not.
    refetchInterval: (query) => (query.state.data?.waiting ? 5000 : false),
  });

export const complianceRulesQuery = queryOptions({
  queryKey: ["compliance", "rules"],
  queryFn: ({ signal }) => call<ComplianceRuleList>("GET", "/api/compliance/rules", { signal }),
});

export const complianceRuleQuery = (slug: string) =>
  queryOptions({
    queryKey: ["compliance", "rule", slug],
    queryFn: ({ signal }) => call<ComplianceRule>("GET", `/api/compliance/rules/${slug}`, { signal }),
  });

/** Devices in a state under a rule. */
export const ruleDevicesQuery = (slug: string, state: string) =>
  infiniteQueryOptions({
    queryKey: ["compliance", "rule", slug, "devices", state],
    queryFn: ({ signal, pageParam }) =>
      call<ComplianceDeviceList>("GET", `/api/compliance/rules/${slug}/devices`, {
        query: { state, limit: 100, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
  });

export const deviceComplianceQuery = (device: string, asOf?: string) =>
  queryOptions({
    queryKey: ["compliance", "device", device, asOf ?? ""],
    queryFn: ({ signal }) =>
      call<DeviceCompliance>("GET", `/api/devices/${device}/compliance`, { query: { as_of: asOf }, signal }),
    // How a remedy goes is told by the device, the command and the policy: asked for while one is under way.
    refetchInterval: (query) =>
      query.state.data?.items.some((i) => i.mending?.state === "pending") ? 2000 : false,
  });

export const waiversQuery = (rule?: string) =>
  queryOptions({
    queryKey: ["compliance", "waivers", rule ?? ""],
    queryFn: ({ signal }) => call<WaiverList>("GET", "/api/compliance/waivers", { query: { rule }, signal }),
  });

function useComplianceChange<V, R>(change: (input: V) => Promise<R>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () => client.invalidateQueries({ queryKey: ["compliance"] }),
  });
}

export function useCreateRule() {
  return useComplianceChange((body: ComplianceRuleWish) =>
    call<ComplianceRule>("POST", "/api/compliance/rules", { body }),
  );
}

/** A change says which revision it was made from: a newer one is not written over. */
export function useChangeRule(slug: string) {
  return useComplianceChange(({ body, revision }: { body: ComplianceRuleChange; revision: number }) =>
    call<ComplianceRule>("PUT", `/api/compliance/rules/${slug}`, { body, ifMatch: revision }),
  );
}

export function useDeleteRule(slug: string, revision: number) {
  return useComplianceChange(() =>
    call<void>("DELETE", `/api/compliance/rules/${slug}`, { ifMatch: revision }),
  );
}

/** What a rule would say of devices; nothing is kept. */
export function useTryRule() {
  return useMutation({
    mutationFn: (body: ComplianceTrialWish) =>
      call<ComplianceTrial>("POST", "/api/compliance/rules/try", { body }),
  });
}

export function useWaive() {
  return useComplianceChange((body: WaiverWish) => call<Waiver>("POST", "/api/compliance/waivers", { body }));
}

export function useRevokeWaiver() {
  return useComplianceChange((id: string) => call<void>("DELETE", `/api/compliance/waivers/${id}`));
}

/** Mends a rule on devices, by its script or by its setting. */
export function useRemediate() {
  return useComplianceChange((body: { rule: string; devices: string[] }) =>
    call<Remedy>("POST", "/api/compliance/remediate", { body }),
  );
}

/** Where the table of how devices stand is downloaded from. It comes as it is made. */
export function complianceExportPath(asOf?: string, rule?: string): string {
  return withQuery("/api/compliance/export", { format: "csv", as_of: asOf, rule });
}

/** The report of how devices stand, which comes once it is made: of a day long past that takes a while. */
export function useComplianceReport() {
  return useMutation({
    mutationFn: (asOf: string | undefined) =>
      callFile("/api/compliance/export", { format: "pdf", as_of: asOf }),
  });
}
