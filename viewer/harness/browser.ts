/** Starts the harness' page and a Chromium that looks at it. */
import { createRequire } from "node:module";
import path from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { createServer, type ViteDevServer } from "vite";
import type { FakeAgent } from "./agent.ts";
import type { FakeGateway } from "./gateway.ts";

/** What the page keeps for its tests. */
export interface Lab {
  readonly gateway: FakeGateway;
  readonly agent: FakeAgent;
  readonly session: import("../src/browser/session.ts").Session;
  readonly calls: string[];
}

declare global {
  var lab: Lab;
}

/** A browser and the address of the page. */
export interface Bench {
  readonly open: (query?: string, options?: BrowserContextOptions) => Promise<Page>;
  /** Closes every page that is open. */
  readonly clear: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Starts both. Debian's Chromium is expected; CHROMIUM names another. */
export async function startBench(): Promise<Bench> {
  const server = await createServer({
    root: import.meta.dirname,
    configFile: false,
    logLevel: "error",
    server: { port: 0, host: "127.0.0.1", fs: { allow: [path.resolve(import.meta.dirname, "../..")] } },
    cacheDir: path.resolve(import.meta.dirname, "../../.cache/vite-viewer"),
    oxc: { jsx: { runtime: "automatic" } },
    optimizeDeps: { include: ["react", "react-dom/client", "react/jsx-dev-runtime", "react/jsx-runtime"] },
  });
  await server.listen();
  const browser = await launch();
  return {
    open: async (query = "", options = {}) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      const page = await context.newPage();
      page.setDefaultTimeout(12_000);
      page.on("pageerror", (e) => {
        throw e;
      });
      await page.goto(`${addressOf(server)}${query}`);
      return page;
    },
    clear: async () => {
      await Promise.all(browser.contexts().map((c) => c.close()));
    },
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

async function launch(): Promise<Browser> {
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  try {
    return await chromium.launch({
      executablePath,
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    });
  } catch (cause) {
    throw new Error(`no Chromium at ${executablePath}: install Debian's package chromium`, { cause });
  }
}

function addressOf(server: ViteDevServer): string {
  const address = server.httpServer?.address();
  if (address === null || address === undefined || typeof address === "string") throw new Error("no address");
  return `http://127.0.0.1:${address.port}/`;
}

/** The text of axe-core, to run in the page. */
export const axeSource = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
