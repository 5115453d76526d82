import type { ReactNode } from "react";
import type { DeviceState, SessionStateName } from "../api/types.ts";

/** A coloured dot with the word beside it: colour is never the only sign. */
export function Mark({ color, children }: { color: string; children: ReactNode }) {
  return (
    <span style={{ display: "inline-flex", alignItems: "center", gap: "0.45rem", whiteSpace: "nowrap" }}>
      <span className="dot" style={{ "--handrail-dot": color } as React.CSSProperties} />
      {children}
    </span>
  );
}

const good = "var(--handrail-good)";
const warn = "var(--handrail-warn)";
const bad = "var(--handrail-bad)";
const quiet = "#8a979a";

export function DeviceMark({ state }: { state: DeviceState }) {
  switch (state) {
    case "online":
      return <Mark color={good}>Online</Mark>;
    case "offline":
      return <Mark color={quiet}>Offline</Mark>;
    case "revoked":
      return <Mark color={bad}>Revoked</Mark>;
  }
}

const sessionWords: Record<SessionStateName, [string, string]> = {
  requested: ["Waiting for an answer", warn],
  consented: ["Accepted", warn],
  live: ["Live", good],
  ended: ["Ended", quiet],
  declined: ["Declined", bad],
  expired: ["Expired", quiet],
  failed: ["Failed", bad],
};

export function SessionMark({ state }: { state: SessionStateName }) {
  const [words, color] = sessionWords[state] ?? [state, quiet];
  return <Mark color={color}>{words}</Mark>;
}

/** The words of a session's state, for lists to choose from. */
export function sessionStateWords(state: SessionStateName): string {
  return sessionWords[state]?.[0] ?? state;
}

/** Whether nothing can happen in a session of this state any more. */
export function isFinal(state: SessionStateName): boolean {
  return state === "ended" || state === "declined" || state === "expired" || state === "failed";
}
