const units: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

/** "3 minutes ago", "in 2 days", "just now". */
export function agoWords(at: Date, nowMs: number): string {
  const seconds = (at.getTime() - nowMs) / 1000;
  for (const [unit, size] of units) {
    // What lies ahead is rounded: a token made for a day ends "tomorrow", not in 23 hours.
    if (seconds >= size * 0.98) return relative.format(Math.max(1, Math.round(seconds / size)), unit);
    if (-seconds >= size) return relative.format(Math.trunc(seconds / size), unit);
  }
  return seconds > 5 ? "in less than a minute" : "just now";
}

/** Date, time and zone in full. */
export function exactWords(at: Date): string {
  return exact.format(at);
}

/** "2026-11-24": the day of a moment by the reader's own clock, as date fields take it. */
export function dayOf(ms: number): string {
  const at = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

/** Hours, minutes and seconds. */
export function clockWords(at: Date): string {
  return clockTime.format(at);
}

/** "1 h 5 min", "42 s": how long something lasted. */
export function durationWords(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} days`;
}

/** "15.6 GiB": a size in the binary units that operating systems show. */
export function sizeWords(bytes: number | undefined): string {
  if (bytes === undefined || !Number.isFinite(bytes) || bytes < 0) return "unknown";
  const names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let i = 0;
  while (value >= 1024 && i < names.length - 1) {
    value /= 1024;
    i++;
  }
  return `${i === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${names[i]}`;
}

/** "1 device", "2 devices". */
export function countWords(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}
