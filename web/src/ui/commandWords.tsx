import type { CommandState } from "../api/types.ts";
import { Mark } from "./marks.tsx";

const quiet = "#8a979a";

const states: Record<CommandState, { words: string; color: string }> = {
  held: { words: "Waits for approval", color: "var(--handrail-warn)" },
  queued: { words: "Waits for the device", color: "var(--handrail-warn)" },
  sent: { words: "Under way", color: "var(--handrail-warn)" },
  succeeded: { words: "Done", color: "var(--handrail-good)" },
  failed: { words: "Failed", color: "var(--handrail-bad)" },
  expired: { words: "Expired", color: quiet },
  cancelled: { words: "Cancelled", color: quiet },
  superseded: { words: "Replaced by a newer one", color: quiet },
};

/** The states of a command, in the order of a board. */
export const commandStates = [
  "failed",
  "held",
  "queued",
  "sent",
  "succeeded",
  "expired",
  "cancelled",
  "superseded",
] as const;

export function commandStateWords(state: CommandState): string {
  return states[state].words;
}

/** A command's state as a dot and words. */
export function CommandMark({ state }: { state: CommandState }) {
  const { words, color } = states[state];
  return <Mark color={color}>{words}</Mark>;
}

/** Whether nothing can come of a command any more. */
export function isOver(state: CommandState): boolean {
  return state !== "held" && state !== "queued" && state !== "sent";
}

const kinds: Record<string, string> = {
  refresh_inventory: "Refresh inventory",
  message: "Message",
  run_script: "Script",
  restart_service: "Restart a service",
  sign_out: "Sign out",
  restart: "Restart",
  shutdown: "Shut down",
  collect_logs: "Collect logs",
  rotate_key: "Rotate the device key",
};

export function commandKindWords(kind: string): string {
  return kinds[kind] ?? kind.replaceAll("_", " ");
}
