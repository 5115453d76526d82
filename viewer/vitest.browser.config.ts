import { defineConfig } from "vitest/config";

/** Tests in a real Chromium, against the page in harness/. */
export default defineConfig({
  test: {
    name: "viewer-browser",
    include: ["harness/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    fileParallelism: false,
  },
});
