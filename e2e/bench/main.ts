/** Runs benchmarks and prints one JSON line a figure; --name NAME prints only that one. */

import { codec } from "./codec.ts";
import { connect } from "./connect.ts";
import { diagnose } from "./diagnose.ts";
import { type Benchmark, line } from "./figure.ts";
import { fileLatency, fileResume, files } from "./files.ts";
import { fleet } from "./fleet.ts";
import { managedFleetPg, managedFleetSqlite, offlineEdits } from "./fleetmdm.ts";
import { gateway } from "./gateway.ts";
import { keyToPixel } from "./keys.ts";
import { complianceFleet, deviceList, policyFleet, resolver } from "./management.ts";
import { network } from "./network.ts";
import { page } from "./page.ts";
import { agentAtRest } from "./rest.ts";
import { scroll } from "./scroll.ts";
import { still } from "./still.ts";
import { terminal } from "./terminal.ts";

const benchmarks: readonly Benchmark[] = [
  keyToPixel,
  connect,
  still,
  scroll,
  terminal,
  diagnose,
  codec,
  network,
  gateway,
  page,
  fleet,
  resolver,
  policyFleet,
  deviceList,
  complianceFleet,
  agentAtRest,
  files,
  fileResume,
  fileLatency,
  offlineEdits,
  managedFleetSqlite,
  managedFleetPg,
];

/** Runs what `only` names, or everything. Returns false when a figure misses its bar. */
export async function main(only?: string): Promise<boolean> {
  const wanted = benchmarks.filter((b) => !only || b.bars.some((f) => f.name === only));
  if (wanted.length === 0) {
    const names = benchmarks.flatMap((b) => b.bars.map((f) => f.name));
    process.stderr.write(`no figure is called ${only}; there are: ${names.join(", ")}\n`);
    return false;
  }
  let met = true;
  for (const b of wanted) {
    const results = await b.run();
    for (const bar of b.bars) {
      if (only && bar.name !== only) continue;
      const out = line(
        bar,
        results.find((r) => r.name === bar.name),
      );
      met &&= JSON.parse(out).ok;
      process.stdout.write(`${out}\n`);
    }
  }
  return met;
}
