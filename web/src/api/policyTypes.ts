export type FieldKind = "bool" | "integer" | "text" | "secret" | "list" | "object" | "json";

/** One typed value within a setting, as GET /api/catalogue describes it. */
export interface Field {
  name: string;
  kind: FieldKind;
  title: string;
  description: string;
  required?: boolean;
  default?: unknown;
  min: number;
  max?: number;
  unit?: string;
  min_len?: number;
  max_len?: number;
  multiline?: boolean;
  choices?: { value: string; title: string }[];
  items?: Field;
  min_items?: number;
  max_items?: number;
  fields?: Field[];
  when?: { field: string; in: string[] };
}

export interface CatalogueEntry {
  key: string;
  title: string;
  description: string;
  category: string;
  platforms: string[];
  mechanism: string;
  merge: string;
  several: boolean;
  instances?: string[];
  risk: { cuts_network: boolean; cuts_sign_in: boolean; words?: string };
  fields: Field[];
}
export interface Catalogue {
  entries: CatalogueEntry[];
}
export type SettingState = "pending" | "applied" | "failed" | "conflict" | "not_applicable" | "drifted";
export type StateCounts = Partial<Record<SettingState, number>>;
export interface PolicySetting {
  id: string;
  value: unknown;
}
export interface Scope {
  groups: string[];
  labels: string[];
}
export interface Assignment {
  id?: string;
  include: Scope;
  exclude: Scope;
  priority: number;
  version?: number;
}
export interface PolicySummary {
  id: string;
  name: string;
  description: string;
  revision: number;
  newest: number;
  live: number;
  has_draft: boolean;
  updated_at: string;
  assignments: number;
  devices: number;
  states: StateCounts;
}
export interface PolicyList {
  items: PolicySummary[];
  next?: string;
}
export interface Policy extends Omit<PolicySummary, "assignments" | "has_draft"> {
  draft?: { base: number; settings: PolicySetting[]; by: string; at: string } | null;
  live_settings: PolicySetting[];
  assignments: Assignment[];
}
export interface PolicyChange {
  name: string;
  description: string;
}
export interface PolicyVersion {
  number: number;
  author: string;
  note: string;
  at: string;
  settings: PolicySetting[];
}
export interface PolicyVersionList {
  items: PolicyVersion[];
  next?: string;
}
export interface SettingDifference {
  id: string;
  change: "added" | "removed" | "changed";
  from?: unknown;
  to?: unknown;
}
export interface WhatIf {
  devices: number;
  changed: number;
  settings: {
    id: string;
    change: "added" | "removed" | "changed";
    devices: number;
    example?: { device_id: string; name: string; from?: unknown; to?: unknown };
  }[];
  conflicts: { id: string; devices: number; policies: string[] }[];
}
export interface RolloutPlan {
  version: number;
  rings: { percent: number; soak_seconds: number }[];
  failure_budget: { percent: number };
}
export interface Rollout {
  id: string;
  policy_id: string;
  policy_name: string;
  version: number;
  state: string;
  ring: number;
  rings: { percent: number; soak_seconds: number; devices: number; applied: number; failed: number }[];
  failure_budget: { percent: number };
  reason?: string;
  started_at: string;
  next_at?: string;
}
export interface RolloutList {
  items: Rollout[];
  next?: string;
}
export interface SettingSource {
  policy_id: string;
  policy_name: string;
  version: number;
  via: string;
  value?: unknown;
}
export interface SettingOfDevice {
  id: string;
  title: string;
  value?: unknown;
  state: SettingState;
  since: string;
  observed?: unknown;
  message?: string;
  mended?: number;
  winner: SettingSource;
  losers: SettingSource[];
}
export interface SettingsOfDevice {
  generation: number;
  reported_generation: number;
  items: SettingOfDevice[];
}
