import type { Chapter } from "../../api/types.ts";
import { changeLine } from "./changeWords.ts";
import { sectionWords } from "./sectionWords.ts";

/** What a section's changes have to do with faults, the likeliest causes first; others come after these. */
const telling = [
  ["host", "disks", "hardware", "kernel", "boot"],
  ["updates", "software", "network", "dns", "routes", "wifi", "firewall", "encryption"],
  ["services", "mounts", "security", "certificates", "accounts", "displays", "gpus", "usb"],
];

/** What comes and goes in a day's work and explains nothing. */
const ordinary = new Set([
  "users",
  "sign_ins",
  "listening",
  "filesystems",
  "time",
  "unread",
  "battery",
  "journal",
]);

/** So many changes of a section are named; the rest are counted. */
const named = 3;

/** What changed at one time in one part of a device. */
export interface RecentChange {
  at: string;
  title: string;
  words: string;
}

/** What changed on a device since a moment (Unix ms), what may explain a fault first, then the newest. */
export function recentChanges(chapters: readonly Chapter[], since: number): RecentChange[] {
  const out: (RecentChange & { rank: number })[] = [];
  for (const c of chapters) {
    if (!c.at || c.first || ordinary.has(c.section) || Date.parse(c.at) < since) continue;
    const isRestart = (path: readonly string[]) => c.section === "host" && path[0] === "boot_time_us";
    if (c.changes.some((x) => isRestart(x.path))) {
      out.push({ at: c.at, title: "Restarted", words: "", rank: 0 });
    }
    const rest = c.changes.filter((x) => !isRestart(x.path));
    if (rest.length === 0) continue;
    const words = rest.slice(0, named).map((x) => {
      const { subject, before, after } = changeLine(c.section, x);
      if (before === undefined) return `${subject} ${after ?? ""} is new`.replace("  ", " ");
      return after === undefined ? `${subject} is gone` : `${subject} ${before} → ${after}`;
    });
    const more = rest.length - words.length + (c.more ?? 0);
    if (more > 0) words.push(`${more.toLocaleString("en")} more`);
    const rank = telling.findIndex((sections) => sections.includes(c.section));
    out.push({
      at: c.at,
      title: sectionWords[c.section] ?? c.section,
      words: words.join("; "),
      rank: rank < 0 ? telling.length : rank,
    });
  }
  out.sort((a, b) => a.rank - b.rank || Date.parse(b.at) - Date.parse(a.at));
  return out.map(({ at, title, words }) => ({ at, title, words }));
}
