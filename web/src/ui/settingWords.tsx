import type { SettingState, StateCounts } from "../api/types.ts";
import { Mark } from "./marks.tsx";
import { Tally } from "./Tally.tsx";

const states: Record<SettingState, { words: string; color: string }> = {
  failed: { words: "Failed", color: "var(--handrail-bad)" },
  conflict: { words: "Conflict", color: "var(--handrail-bad)" },
  drifted: { words: "Drifted", color: "var(--handrail-warn)" },
  pending: { words: "Pending", color: "var(--handrail-warn)" },
  applied: { words: "Applied", color: "var(--handrail-good)" },
  not_applicable: { words: "Not applicable", color: "#8a979a" },
};

/** The states of a setting, the worst first. */
export const settingStates = Object.keys(states) as SettingState[];

export function stateWords(state: SettingState): string {
  return states[state]?.words ?? state;
}

/** A setting's state as a dot and a word. */
export function SettingMark({ state }: { state: SettingState }) {
  const { words, color } = states[state] ?? { words: state, color: "#8a979a" };
  return <Mark color={color}>{words}</Mark>;
}

/** Devices of a policy by state, the worst first, each number a link to them; states of nobody are left out. */
export function StateTally({ counts, policy }: { counts: StateCounts; policy: string }) {
  const shown = settingStates.filter((s) => (counts[s] ?? 0) > 0);
  if (shown.length === 0) return <span className="quiet">Nothing reported yet</span>;
  return (
    <Tally
      of={shown.map((s) => ({
        state: s,
        ...states[s],
        n: counts[s] ?? 0,
        search: { policy, policy_state: s },
      }))}
    />
  );
}

/** How a merge rule settles what several policies say, in a sentence. */
export function mergeWords(merge: string): string {
  switch (merge) {
    case "most_restrictive":
      return "Where several policies set it, the strictest value of each field wins.";
    case "union":
      return "Where several policies set it, their lists are joined.";
    case "error":
      return "Where several policies set it, they must agree; else none is applied.";
    default:
      return "Where several policies set it, the one with the highest priority wins.";
  }
}
