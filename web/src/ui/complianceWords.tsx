import type { ComplianceCounts, ComplianceState, Severity } from "../api/types.ts";
import { Mark } from "./marks.tsx";
import { Tally } from "./Tally.tsx";

const quiet = "#8a979a";

const states: Record<ComplianceState, { words: string; color: string }> = {
  non_compliant: { words: "Not compliant", color: "var(--handrail-bad)" },
  error: { words: "Could not be checked", color: "var(--handrail-bad)" },
  in_grace: { words: "In grace", color: "var(--handrail-warn)" },
  unknown: { words: "Unknown", color: quiet },
  waived: { words: "Waived", color: quiet },
  compliant: { words: "Compliant", color: "var(--handrail-good)" },
  not_applicable: { words: "Not applicable", color: quiet },
};

/** The states, the worst first. */
export const complianceStates = Object.keys(states) as ComplianceState[];

export function complianceWords(state: string): string {
  return states[state as ComplianceState]?.words ?? state;
}

/** A state as a dot and words. */
export function ComplianceMark({ state }: { state: string }) {
  const { words, color } = states[state as ComplianceState] ?? { words: state, color: quiet };
  return <Mark color={color}>{words}</Mark>;
}

const severities: Record<Severity, { words: string; color: string }> = {
  critical: { words: "Critical", color: "#a4161a" },
  high: { words: "High", color: "#d9480f" },
  medium: { words: "Medium", color: "#e8a317" },
  low: { words: "Low", color: quiet },
};

export const severityOrder = Object.keys(severities) as Severity[];

export function severityWords(s: Severity): string {
  return severities[s].words;
}

export function SeverityMark({ severity }: { severity: Severity }) {
  return <Mark color={severities[severity].color}>{severities[severity].words}</Mark>;
}

/** Devices by state under a rule, each number a link to them. */
export function RuleTally({ counts, rule }: { counts: ComplianceCounts; rule: string }) {
  const shown = complianceStates.filter((s) => counts[s] > 0 && s !== "not_applicable");
  if (shown.length === 0) return <span className="quiet">No device checked yet</span>;
  return (
    <Tally
      of={shown.map((s) => ({ state: s, ...states[s], n: counts[s], search: { rule, rule_state: s } }))}
    />
  );
}

/** What was observed, as text. */
export function evidenceWords(evidence: unknown): string {
  if (evidence === undefined || evidence === null) return "";
  if (typeof evidence === "string") return evidence;
  if (typeof evidence !== "object") return String(evidence);
  if (Array.isArray(evidence)) return evidence.map(evidenceWords).join(", ");
  return Object.entries(evidence)
    .map(([k, v]) => factWords(k, v))
    .join("; ");
}

/** One fact by its name; those whose names end in _us are moments, in microseconds since 1970. */
function factWords(name: string, value: unknown): string {
  if (value === undefined || value === null) return `${name}: not reported`;
  if (name.endsWith("_us") && typeof value === "number" && value > 0)
    return `${name.slice(0, -3)}: ${new Date(value / 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" })}`;
  return `${name}: ${evidenceWords(value)}`;
}
