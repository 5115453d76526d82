import { defineConfig } from "vitest/config";

export default defineConfig({ test: { projects: ["viewer/vitest.config.ts", "web/vite.config.ts"] } });
