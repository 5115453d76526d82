// Loads the benchmarks through Vite, which reads TypeScript: node e2e/bench/run.mjs [--name NAME]
import { parseArgs } from "node:util";
import { runnerImport } from "vite";

const { values } = parseArgs({ options: { name: { type: "string" } } });
const { module } = await runnerImport(new URL("./main.ts", import.meta.url).pathname, {
  configFile: false,
  logLevel: "error",
});
process.exitCode = (await module.main(values.name)) ? 0 : 1;
