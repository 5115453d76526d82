import { defineConfig } from "vitest/config";

export default defineConfig({ test: { name: "viewer", include: ["src/**/*.test.{ts,tsx}"] } });
