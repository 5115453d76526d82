// Makes the pictures of docs/images anew: node e2e/screenshots.mjs
import { runnerImport } from "vite";

const { module } = await runnerImport(new URL("./screenshots.ts", import.meta.url).pathname, {
  configFile: false,
  logLevel: "error",
});
await module.main();
