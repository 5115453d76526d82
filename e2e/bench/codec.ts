/** Capture, conversion and encoding without a network: Go benchmarks that report their own percentiles. */
import { run } from "../program.ts";
import type { Benchmark, Result } from "./figure.ts";

const names: Record<string, string> = {
  BenchmarkCaptureFull: "capture_full_ms",
  BenchmarkCaptureSmall: "capture_small_ms",
  BenchmarkEncodeSmall: "encode_small_ms",
};

export const codec: Benchmark = {
  bars: [
    { name: "capture_full_ms", unit: "ms", bar: 5, better: "lower" },
    { name: "capture_small_ms", unit: "ms", bar: 0.5, better: "lower" },
    { name: "encode_small_ms", unit: "ms", bar: 4, better: "lower" },
  ],
  async run() {
    const out = await run([
      "go",
      "test",
      "-run=^$",
      "-bench=^(BenchmarkCaptureFull|BenchmarkCaptureSmall|BenchmarkEncodeSmall)$",
      "-benchtime=200x",
      "./agent/internal/picture",
    ]);
    const results: Result[] = [];
    for (const text of out.split("\n")) {
      const name = names[/^Benchmark\w+/.exec(text)?.[0] ?? ""];
      const p50 = Number(/([\d.]+) p50-ms/.exec(text)?.[1]);
      const p95 = Number(/([\d.]+) p95-ms/.exec(text)?.[1]);
      if (name) results.push({ name, value: p50, p95, n: 200 });
    }
    return results;
  },
};
