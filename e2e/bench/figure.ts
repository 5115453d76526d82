/** One measured figure: what `make bench` prints as one JSON line. */
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";

/** A figure's name, unit and bar. `better: "lower"` means that a value at or under the bar is ok. */
export interface Bar {
  readonly name: string;
  readonly unit: string;
  readonly bar: number;
  readonly better: "lower" | "higher";
  /** A second bar on the 95th percentile, where the issue states one. */
  readonly p95?: number;
}

/** What was measured for one figure: the median, the 95th percentile, and over how many samples. */
export interface Result {
  readonly name: string;
  readonly value: number;
  readonly p95: number;
  readonly n: number;
}

/** The result of a list of samples; NaN, which no bar accepts, for none. */
export function summarise(name: string, samples: readonly number[]): Result {
  return { name, value: percentile(samples, 0.5), p95: percentile(samples, 0.95), n: samples.length };
}

/** A group of figures that come out of one run. */
export interface Benchmark {
  readonly bars: readonly Bar[];
  run(): Promise<readonly Result[]>;
}

/** The p-th percentile (0..1) by nearest rank; NaN for no samples. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] ?? Number.NaN;
}

const round = (x: number): number => Math.round(x * 1000) / 1000;

const commit = (): string => {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
};

/** The JSON line of a figure. A figure that could not be measured is a line with n 0 that is not ok. */
export function line(bar: Bar, result: Result | undefined): string {
  const { value, p95, n } = result ?? { value: Number.NaN, p95: Number.NaN, n: 0 };
  const within = bar.better === "lower" ? value <= bar.bar : value >= bar.bar;
  const ok = n > 0 && within && (bar.p95 === undefined || p95 <= bar.p95);
  const machine = `${cpus().length} x ${cpus()[0]?.model.trim() ?? "unknown"}`;
  return JSON.stringify({
    name: bar.name,
    unit: bar.unit,
    value: round(value),
    p95: round(p95),
    bar: bar.bar,
    ok,
    n,
    commit: commit(),
    machine,
  });
}
