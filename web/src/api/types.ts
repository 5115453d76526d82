/**
 * One thing an operator may do in a session; the order is the order people are asked in.
 * The same words as signaling/capability.go.
 */
export const capabilities = [
  "view",
  "control",
  "clipboard",
  "files",
  "terminal",
  "diagnostics",
  "power",
  "record",
] as const;
export type Capability = (typeof capabilities)[number];

export interface Page<T> {
  items: T[];
  /** Where the next page starts; absent on the last. */
  next?: string;
}
export interface Grant {
  role: string;
  group_id: string;
}
export interface Operator {
  id: string;
  name: string;
  email: string;
  disabled: boolean;
  created_at: string;
  signed_in_at?: string;
  grants: Grant[];
}
export interface Me {
  operator: Operator;
  organisation: string;
  permissions: string[];
  grants: Grant[];
}
export interface Role {
  role: string;
  name: string;
  summary: string;
  permissions: string[];
  capabilities: Capability[];
}
export interface Unattended {
  enabled: boolean;
  capabilities: Capability[];
}
export interface DeviceGroup {
  id: string;
  name: string;
  parent_id?: string;
  unattended?: Unattended | null;
  devices: number;
}
export type DeviceState = "online" | "offline" | "revoked";
export interface Device {
  id: string;
  name: string;
  hostname: string;
  os: string;
  arch: string;
  group_id: string;
  state: DeviceState;
  os_version?: string;
  agent_version: string;
  model?: string;
  serial?: string;
  signed_in?: string[];
  last_seen_at?: string;
  revoked_at?: string;
  copied_at?: string;
  enrolled_at: string;
}
export interface EnrollmentToken {
  id: string;
  group_id: string;
  note: string;
  uses_allowed: number;
  uses_spent: number;
  state: "usable" | "spent" | "expired" | "revoked";
  created_at: string;
  expires_at: string;
}
export interface NewToken {
  id: string;
  token: string;
  command: string;
}
export type SessionStateName =
  | "requested"
  | "consented"
  | "live"
  | "ended"
  | "declined"
  | "expired"
  | "failed";
export interface SupportSession {
  id: string;
  device_id: string;
  device_name: string;
  operator_id: string;
  operator_name: string;
  reason: string;
  state: SessionStateName;
  consent: "ask" | "unattended";
  capabilities: Capability[];
  granted: Capability[];
  requested_at: string;
  consented_at?: string;
  live_at?: string;
  ended_at?: string;
  message?: string;
  ended_by?: string;
  timeline?: TimelineEntry[];
}
export interface TimelineEntry {
  seq: number;
  at: string;
  kind: string;
  actor?: string;
  detail?: string;
}
export interface AuditEntry {
  seq: number;
  at: string;
  actor: string;
  action: string;
  subject: string;
  detail?: string;
  remote?: string;
}
export interface AuditVerdict {
  ok: boolean;
  entries: number;
  message?: string;
}
export interface Attention {
  kind: string;
  severity: string;
  title: string;
  detail?: string;
  device_id?: string;
  session_id?: string;
  at?: string;
}
export interface Overview {
  devices: { total: number; online: number };
  sessions: { live: number; waiting: number };
  attention: Attention[];
}
