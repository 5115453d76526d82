import type { TimelineEntry } from "../../api/types.ts";

/** How an entry reads, and how much it matters. */
export interface TimelineWords {
  text: string;
  tone: "plain" | "good" | "warn" | "bad";
}

const words: Record<string, [string, TimelineWords["tone"]]> = {
  requested: ["Session asked for", "plain"],
  consented: ["Accepted", "good"],
  declined: ["Declined at the device", "bad"],
  timed_out: ["Nobody answered in time", "bad"],
  asked: ["More rights asked for", "plain"],
  granted: ["Rights changed", "good"],
  not_granted: ["More rights refused", "warn"],
  ended: ["Session ended", "plain"],
  device_lost: ["Device lost its connection", "warn"],
  device_back: ["Device is back", "good"],
  window_closed: ["Consent ran out while the device was away", "warn"],
  live: ["First picture on its way", "good"],
  paused: ["Paused by the person at the device", "warn"],
  resumed: ["Resumed", "good"],
  stopped: ["Stopped by the person at the device", "bad"],
  expired: ["Consent ran out with nobody connected", "warn"],
  failed: ["The screen could not be shown", "bad"],
  viewer_joined: ["Viewer connected", "plain"],
  viewer_lost: ["Viewer lost its connection", "warn"],
  viewer_returned: ["Viewer is back", "good"],
  viewer_left: ["Viewer left", "plain"],
  control_taken: ["Took control", "plain"],
  control_freed: ["Gave up control", "plain"],
  clipboard_sent: ["Clipboard sent to the device", "plain"],
  clipboard_read: ["Clipboard read from the device", "plain"],
  tool_opened: ["Opened a tool", "plain"],
  tool_closed: ["Closed a tool", "plain"],
  tool_used: ["Used a tool", "plain"],
  refused_frame: ["Something not allowed was tried and refused", "bad"],
  display_lost: ["The screen went away", "warn"],
  display_back: ["The screen is back", "good"],
};

/** The words for one entry of a session's timeline; a kind from a newer version reads as it is spelled. */
export function timelineWords(entry: Pick<TimelineEntry, "kind">): TimelineWords {
  const known = words[entry.kind];
  if (known) return { text: known[0], tone: known[1] };
  const spelled = entry.kind.replace(/_/g, " ");
  return { text: spelled.charAt(0).toUpperCase() + spelled.slice(1), tone: "plain" };
}

/** Who and what of an entry on one line; devices begin their detail with the name again. */
export function particulars({ actor, detail }: Pick<TimelineEntry, "actor" | "detail">): string {
  if (actor !== "" && detail.startsWith(actor)) return detail;
  return [actor, detail].filter((part) => part !== "").join(" · ");
}
