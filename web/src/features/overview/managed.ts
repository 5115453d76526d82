import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { bulksQuery } from "../../api/commands.ts";
import { complianceQuery } from "../../api/compliance.ts";
import type { DeviceFilter } from "../../api/devices.ts";
import { useMe } from "../../api/me.ts";
import { policiesQuery, rolloutsQuery } from "../../api/policies.ts";
import { may } from "../../ui/permissions.ts";
import { countWords } from "../../ui/words.ts";

/** Something of management that needs somebody, and where it is looked into. */
export interface Managed {
  key: string;
  text: string;
  detail: string;
  to:
    | { page: "devices"; filter: DeviceFilter }
    | { page: "rule"; slug: string }
    | { page: "policy"; id: string }
    | { page: "order"; id: string };
}

const weekMs = 7 * 86_400_000;
const mostRules = 5;

/**
 * What policies, roll-outs, rules and orders ask for, the most urgent first. While some of it is
 * still being asked for, or could not be had, nobody may be told that all is well.
 */
export function useManaged(): { items: Managed[]; pending: boolean; error: unknown; retry: () => void } {
  const me = useMe();
  const policyView = may(me, "policy.view");
  const policies = useInfiniteQuery({ ...policiesQuery(), enabled: policyView });
  const rollouts = useQuery({ ...rolloutsQuery(), enabled: policyView });
  const compliance = useQuery({ ...complianceQuery(), enabled: may(me, "compliance.view") });
  const bulks = useInfiniteQuery({ ...bulksQuery, enabled: may(me, "command.run") });
  const out: Managed[] = [];
  for (const b of bulks.data?.pages[0]?.items ?? []) {
    if (b.approval !== "needed" || b.by === me.id) continue;
    out.push({
      key: b.id,
      text: `${b.by_name} asks for approval`,
      detail: `for a command on ${b.target}`,
      to: { page: "order", id: b.id },
    });
  }
  // The newest comes first; what became of those before it is history.
  const seen = new Set<string>();
  for (const r of rollouts.data?.items ?? []) {
    if (seen.has(r.policy_id)) continue;
    seen.add(r.policy_id);
    if (r.state !== "returned" || Date.now() - Date.parse(r.updated_at) > weekMs) continue;
    out.push({
      key: r.id,
      text: `The roll-out of ${r.policy_name} returned`,
      detail: r.reason ?? "",
      to: { page: "policy", id: r.policy_id },
    });
  }
  for (const p of policies.data?.pages[0]?.items ?? []) {
    for (const [state, words] of [
      ["failed", "could not apply"],
      ["conflict", "are told contradictory things by"],
    ] as const) {
      const n = p.counts?.[state] ?? 0;
      if (n === 0) continue;
      out.push({
        key: `${p.id} ${state}`,
        text: `${countWords(n, "device")} ${words} ${p.name}`,
        detail: "",
        to: { page: "devices", filter: { policy: p.id, policy_state: state } },
      });
    }
  }
  for (const r of (compliance.data?.top_rules ?? []).slice(0, mostRules)) {
    const waits = r.severity === "critical" ? r.counts.in_grace : 0;
    if (r.counts.non_compliant + waits === 0) continue;
    const graced =
      waits > 0
        ? `${r.counts.non_compliant > 0 ? " and " : ""}${countWords(waits, "device")} still in grace`
        : "";
    const broken = r.counts.non_compliant > 0 ? countWords(r.counts.non_compliant, "device") : "";
    out.push({
      key: r.slug,
      text: r.title,
      detail: `not so on ${broken}${graced}${r.has_fix ? "; one click mends it" : ""}`,
      to: { page: "rule", slug: r.slug },
    });
  }
  const asked = [
    ...(policyView ? [policies, rollouts] : []),
    ...(may(me, "compliance.view") ? [compliance] : []),
    ...(may(me, "command.run") ? [bulks] : []),
  ];
  const broken = asked.filter((q) => q.isError && q.data === undefined);
  return {
    items: out,
    pending: asked.some((q) => q.isPending && !q.isError),
    error: broken[0]?.error,
    retry: () => {
      for (const q of broken) void q.refetch();
    },
  };
}
