import type { Chapter } from "../../api/types.ts";
import { asValues, summary } from "../../ui/settingValue.ts";
import { sizeWords } from "../../ui/words.ts";

type Change = Chapter["changes"][number];

/** One line of a timeline: what changed, from what to what. */
export interface ChangeLine {
  subject: string;
  before: string | undefined;
  after: string | undefined;
}

const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** A change in words. Software by name and version; moments and sizes as people read them. */
export function changeLine(section: string, change: Change): ChangeLine {
  const { path, from, to } = change;
  if (section === "software" && path.length > 0) return softwareLine(change);
  if (section === "updates" && path[0] === "pending" && path.length === 2) {
    return { subject: path[1] ?? "", before: pendingWords(from), after: pendingWords(to) };
  }
  const last = path.at(-1) ?? "";
  const subject = path.map(nameWords).join(" › ") || "All of it";
  return { subject, before: leafWords(last, from), after: leafWords(last, to) };
}

/** The path begins with "name source architecture"; the rest says which field. */
function softwareLine({ path, from, to }: Change): ChangeLine {
  const [name = "", source = ""] = (path[0] ?? "").split(" ");
  const field = path.slice(1).map(nameWords).join(" › ");
  const versions = field === "" || field === "version";
  return {
    subject: `${name}${source === "" || source === "deb" || source === "rpm" ? "" : ` (${source})`}${versions ? "" : ` › ${field}`}`,
    before: field === "" ? versionOf(from) : leafWords(field, from),
    after: field === "" ? versionOf(to) : leafWords(field, to),
  };
}

function versionOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const { version } = asValues(value);
  return typeof version === "string" ? version : summary(value);
}

function pendingWords(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const { candidate, security } = asValues(value);
  if (typeof candidate !== "string") return summary(value);
  return `${candidate} pending${security === true ? ", for security" : ""}`;
}

function nameWords(name: string): string {
  // Keys of sign-ins end in their moment, which their value says too.
  return name
    .replace(/ \d{16}$/, "")
    .replace(/_(us|bytes)$/, "")
    .replaceAll("_", " ");
}

function leafWords(name: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number") {
    if (/(^|_)us$/.test(name)) return value === 0 ? "never" : moment.format(new Date(value / 1000));
    if (/(^|_)bytes$/.test(name)) return sizeWords(value);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return Object.entries(value)
      .filter(([, v]) => v !== "" && v !== null)
      .map(([k, v]) => `${nameWords(k)}: ${leafWords(k, v)}`)
      .join("; ");
  }
  return summary(value);
}
