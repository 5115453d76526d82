/** What policies, searches and rules cost over a whole fleet: Go tests that print their figures, on SQLite and on a PostgreSQL of their own. */
import { run } from "../program.ts";
import type { Bar, Benchmark, Result } from "./figure.ts";

const on = ["sqlite", "pg"] as const;

/** A figure in seconds on both databases. */
const both = (name: string, bar: number): Bar[] =>
  on.map((db) => ({ name: `${name}_${db}`, unit: "s", bar, better: "lower" }));

/** The figures {"name", "value", "p95", "n"} that the tests print, on a line of their own or in their log. */
function figures(out: string): Result[] {
  return out.split("\n").flatMap((text) => {
    const at = text.indexOf('{"name":');
    if (at < 0) return [];
    const figure = JSON.parse(text.slice(at)) as Result & { readonly devices?: number };
    return [{ ...figure, p95: figure.p95 ?? figure.value, n: figure.n ?? figure.devices ?? 1 }];
  });
}

/** Runs one of the store's figure tests; each needs a PostgreSQL that is empty. */
async function ofStore(test: string, ...flags: string[]): Promise<Result[]> {
  const go = `HANDRAIL_BENCH_DATABASE="$HANDRAIL_TEST_POSTGRES" exec go test -run '^${test}$' -v -count=1 -timeout 60m ./gateway/internal/store ${flags.join(" ")}`;
  return figures(await run([".ci/with-postgres", "sh", "-c", go]));
}

/** One device under 60 policies with 800 settings. */
export const resolver: Benchmark = {
  bars: [{ name: "resolve_device_ms", unit: "ms", bar: 1, better: "lower" }],
  async run() {
    const out = await run([
      "go",
      "test",
      "-run=^$",
      "-bench=^BenchmarkResolve$",
      "-benchtime=1000x",
      "./mdm/policy",
    ]);
    const value = Number(/([\d.]+) p50-ms/.exec(out)?.[1]);
    const p95 = Number(/([\d.]+) p95-ms/.exec(out)?.[1]);
    return [{ name: "resolve_device_ms", value, p95, n: 1000 }];
  },
};

/** 100,000 devices after one edit of a policy that is for all of them. */
export const policyFleet: Benchmark = {
  bars: both("resolve_fleet_s", 30),
  run: () => ofStore("TestPolicyFigures", "-policies.devices=100000"),
};

/** The device list of 100,000 devices under any filter. */
export const deviceList: Benchmark = {
  bars: [
    { name: "device_list_ms_sqlite", unit: "ms", bar: 100, p95: 100, better: "lower" },
    { name: "device_list_ms_pg", unit: "ms", bar: 50, p95: 50, better: "lower" },
  ],
  run: () => ofStore("TestFleetFigures", "-fleet=100000"),
};

/** 100,000 devices under 60 rules. */
export const complianceFleet: Benchmark = {
  bars: both("compliance_fleet_s", 60),
  run: () => ofStore("TestComplianceFigures", "-compliance.devices=100000"),
};
