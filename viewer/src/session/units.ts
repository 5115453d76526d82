/** Figures in the words people use. */

const steps = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** An amount of bytes, as "3.2 GiB". */
export function bytes(n: number): string {
  if (!Number.isFinite(n)) return "–";
  let value = Math.abs(n);
  let step = 0;
  while (value >= 1024 && step < steps.length - 1) {
    value /= 1024;
    step++;
  }
  const digits = step === 0 || value >= 100 ? 0 : 1;
  return `${n < 0 ? "−" : ""}${value.toFixed(digits)} ${steps[step]}`;
}

/** A rate, as "3.2 MiB/s". */
export const rate = (n: number): string => `${bytes(n)}/s`;

/** A share in per cent, as "12 %". */
export const percent = (n: number): string =>
  Number.isFinite(n) ? `${n > 0 && n < 10 ? n.toFixed(1) : Math.round(n)} %` : "–";

/** A share of a whole, as "12 %". */
export const share = (part: number, whole: number): string => percent(whole > 0 ? (part / whole) * 100 : 0);

/** A moment of the device's clock in the reader's own time, as "14:03:27". */
export function clock(ms: number): string {
  return new Date(ms).toLocaleTimeString(undefined, { hour12: false });
}

/** A moment with its day, as "2026-11-24 14:03:27", in the reader's own time. */
export function dayAndClock(ms: number): string {
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** How long something lasts, as "3 h 12 min". */
export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}
