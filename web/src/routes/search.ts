import type { AuditFilter } from "../api/audit.ts";
import type { DeviceFilter } from "../api/devices.ts";
import type { SessionFilter } from "../api/sessions.ts";
import type { SoftwareFilter } from "../api/software.ts";
import type { DeviceState, Rollout, SessionStateName } from "../api/types.ts";
import { type DeviceTab, deviceTabs } from "../features/devices/tabs.ts";
import { type PolicyTab, policyTabs } from "../features/policies/tabs.ts";

type Search = Record<string, unknown>;

// Each function names every key it owns, with undefined where the address holds nothing of
// use: the router lays the result over the raw address, so a key left out would let the
// raw value through.

/** A short text from the address, or nothing. What the router parsed as a number is text again. */
function text(value: unknown, most = 200): string | undefined {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value.slice(0, most) : undefined;
}

function oneOf<T extends string>(value: unknown, allowed: readonly T[]): T | undefined {
  return allowed.find((a) => a === value);
}

const deviceStates: readonly DeviceState[] = ["online", "offline", "revoked"];
const sessionStates: readonly SessionStateName[] = [
  "requested",
  "consented",
  "live",
  "ended",
  "declined",
  "expired",
  "failed",
];

export function devicesSearch(s: Search): DeviceFilter & { view?: string | undefined } {
  return {
    view: text(s.view),
    q: text(s.q, 1024),
    group: text(s.group),
    state: oneOf(s.state, deviceStates),
    os: text(s.os),
    label: text(s.label),
    policy: text(s.policy),
    policy_state: text(s.policy_state),
    setting: text(s.setting),
    setting_state: text(s.setting_state),
    compliance: text(s.compliance),
    rule: text(s.rule),
    rule_state: text(s.rule_state),
    software: text(s.software),
    software_version: text(s.software_version),
    software_id: text(s.software_id),
    encrypted: oneOf(s.encrypted, ["yes", "no"] as const),
    sort: oneOf(s.sort, ["name", "last_seen"] as const),
  };
}

export function deviceSearch(s: Search): { tab?: DeviceTab | undefined } {
  return { tab: oneOf(s.tab, deviceTabs) };
}

/** A day as a date field writes it. */
export function complianceSearch(s: Search): { day?: string | undefined } {
  const day = text(s.day);
  return { day: day && /^\d{4}-\d{2}-\d{2}$/.test(day) ? day : undefined };
}

/** Which rules are listed: of a severity, and with devices in a state. */
export function rulesSearch(s: Search): {
  severity?: (typeof severities)[number] | undefined;
  state?: (typeof ruleStates)[number] | undefined;
} {
  return { severity: oneOf(s.severity, severities), state: oneOf(s.state, ruleStates) };
}

const severities = ["critical", "high", "medium", "low"] as const;
const ruleStates = ["broken", "non_compliant", "in_grace", "waived"] as const;

export function softwareSearch(s: Search): SoftwareFilter {
  return { q: text(s.q), source: text(s.source), sort: oneOf(s.sort, ["devices"] as const) };
}

export function duplicatesSearch(s: Search): { kept?: true | undefined } {
  return { kept: s.kept === true ? true : undefined };
}

const rolloutStates: readonly Rollout["state"][] = ["running", "paused", "returned", "done"];

export function rolloutsSearch(s: Search): { state?: Rollout["state"] | undefined } {
  return { state: oneOf(s.state, rolloutStates) };
}

/** Only the policies that are assigned to this group itself. */
export function policiesSearch(s: Search): { group?: string | undefined } {
  return { group: text(s.group, 64) };
}

export function policySearch(s: Search): { tab?: PolicyTab | undefined } {
  return { tab: oneOf(s.tab, policyTabs) };
}

export function sessionsSearch(s: Search): SessionFilter {
  return {
    device: text(s.device),
    operator: text(s.operator),
    state: oneOf(s.state, [...sessionStates, "open" as const]),
  };
}

export function auditSearch(s: Search): AuditFilter {
  return { q: text(s.q), actor: text(s.actor), action: text(s.action) };
}

/** Where to go after signing in: a path of this console, never another site. */
export function signInSearch(s: Search): { to?: string | undefined } {
  const to = text(s.to);
  return { to: to && /^\/(?![/\\])/.test(to) ? to : undefined };
}

/** Which tool stands beside the picture; the viewer knows which there are. */
export function liveSearch(s: Search): { tool?: string | undefined } {
  return { tool: text(s.tool, 40) };
}

export function newScriptSearch(s: Search): { from?: string | undefined } {
  return { from: text(s.from, 64) };
}
