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
  "api_token.create": "Made an API token",
  "api_token.revoke": "Revoked an API token",
  "device.enroll": "Enrolled a device",
  "device.enroll_again": "Enrolled a device again",
  "device.enroll_refused": "Enrollment refused",
  "device.identity_copied": "Copied identity refused",
  "device.change": "Changed a device",
  "device.revoke": "Revoked a device",
  "device.delete": "Deleted a device",
  "device.export": "Exported devices",
  "device.replace": "Retired a device for another",
  "device.key": "Renewed a device's key",
  "device.os": "A device's system changed",
  "device.bulk_move": "Moved devices",
  "device.bulk_label": "Labelled devices",
  "device.bulk_unlabel": "Took a label off devices",
  "duplicate.keep": "Kept suspected duplicates",
  "duplicate.suspect": "Suspects duplicates again",
  "asset_fields.change": "Changed the asset fields",
  "assets.import": "Imported asset fields",
  "view.create": "Saved a view",
  "view.change": "Changed a view",
  "view.delete": "Deleted a view",
  "label.create": "Made a label",
  "label.change": "Changed a label",
  "label.delete": "Deleted a label",
  "policy.create": "Made a policy",
  "policy.change": "Renamed a policy",
  "policy.draft": "Changed a policy's draft",
  "policy.draft_discard": "Discarded a policy's draft",
  "policy.assign": "Assigned a policy",
  "policy.publish": "Published a policy",
  "policy.activate": "Put a version in force",
  "policy.delete": "Deleted a policy",
  "rollout.pause": "Paused a roll-out",
  "rollout.resume": "Resumed a roll-out",
  "rollout.next": "Sent a roll-out on",
  "rollout.stop": "Stopped a roll-out",
  "command.order": "Ordered a command",
  "command.approve": "Approved a command",
  "command.cancel": "Cancelled a command",
  "command.bundle": "Took a diagnostic bundle",
  "script.create": "Made a script",
  "script.change": "Changed a script",
  "script.publish": "Saved a script's version",
  "compliance.export": "Exported compliance",
  "compliance.remediate": "Had devices mended",
  "compliance.rule_create": "Made a rule",
  "compliance.rule_change": "Changed a rule",
  "compliance.rule_delete": "Deleted a rule",
  "compliance.settings": "Changed the compliance settings",
  "compliance.waive": "Waived a rule",
  "compliance.waiver_revoke": "Ended a waiver",
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
