import { defineConfig } from "vitest/config";

// Browser tests drive real programs and share two cores: one file at a time.
export default defineConfig({
  test: {
    dir: import.meta.dirname,
    include: ["*.test.ts"],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 45_000, interval: 100 } }, // a second, as it is by itself, is too little for a busy machine
    reporters: ["verbose"],
  },
});
