import type { AuditEntry } from "../../api/types.ts";

const words: Record<string, string> = {
  "setup.done": "Set up the gateway",
  "operator.sign_in": "Signed in",
  "operator.sign_in_refused": "Sign-in refused",
  "operator.sign_out": "Signed out",
  "operator.password": "Changed a password",
  "operator.create": "Made an operator",
  "operator.change": "Changed an operator",
  "operator.delete": "Deleted an operator",
  "group.create": "Made a group",
  "group.change": "Changed a group",
  "group.delete": "Deleted a group",
  "token.create": "Made an enrollment token",
  "token.revoke": "Revoked an enrollment token",
  "device.enroll": "Enrolled a device",
  "device.enroll_again": "Enrolled a device again",
  "device.enroll_refused": "Enrollment refused",
  "device.identity_copied": "Copied identity refused",
  "device.change": "Changed a device",
  "device.revoke": "Revoked a device",
  "device.delete": "Deleted a device",
  "session.request": "Asked for a session",
  "session.ask": "Asked for more rights",
  "session.consented": "Session accepted",
  "session.declined": "Session declined",
  "session.timed_out": "Session not answered",
  "session.granted": "Rights changed",
  "session.not_granted": "More rights refused",
  "session.live": "Session went live",
  "session.end": "Ended a session",
  "session.ended": "Session ended",
  "session.stopped": "Session stopped at the device",
  "session.expired": "Session expired",
  "session.failed": "Session failed",
};

/** What was done, in words; an action from a newer version reads as it is spelled. */
export function actionWords(action: string): string {
  return words[action] ?? action;
}

/** The particulars of an entry on one line: "reason: printer, capabilities: view". */
export function detailWords(entry: Pick<AuditEntry, "detail">): string {
  return Object.entries(entry.detail ?? {})
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `${name.replace(/_/g, " ")}: ${value}`)
    .join(", ");
}

/** "Ada Marsh" of "Ada Marsh <ada@example.org>": lists have room for the name alone. */
export function shortName(who: AuditEntry["actor"]): string {
  return who.name.replace(/ <[^<>]*>$/, "") || who.kind;
}
