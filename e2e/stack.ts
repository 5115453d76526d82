/** The whole product on this machine, from its built programs: a gateway and the demo's desktop as a device. */
import { join } from "node:path";
import type { Page } from "playwright-core";
import { bin, freePort, Program, run, scratch } from "./program.ts";

/** The admin every test signs in as. */
export const admin = {
  organisation: "Acme",
  name: "Ada Admin",
  email: "ada@example.org",
  password: "a quite long password",
};

/** A running demo: what `make run` gives a newcomer. */
export interface Demo {
  readonly url: string;
  readonly setup: string | undefined;
  readonly data: string;
  readonly program: Program;
  stop(): Promise<void>;
}

/**
 * Starts the demo on a data directory of its own, or again on one that has been used, at the address it had.
 * `env` is for all of its programs: the gateway, the agent and the companion.
 */
export async function startDemo(
  again?: { data: string; url: string },
  env: Record<string, string> = {},
): Promise<Demo> {
  const own = again === undefined ? await scratch() : undefined;
  const dir = again?.data ?? (own?.dir as string);
  const port = again === undefined ? await freePort() : new URL(again.url).port;
  const program = new Program([join(bin, "handrail-demo"), "--data", dir], {
    HANDRAIL_LISTEN: `127.0.0.1:${port}`,
    HANDRAIL_TURN_LISTEN: "127.0.0.1:0",
    ...env,
  });
  const said = await program.says(/^Handrail .*?(https?:\/\/\S+).*$/m, 60_000);
  const words = said[0].split(/\s+/).filter((w) => w.startsWith("http"));
  return {
    url: new URL(words[0] ?? "").origin,
    setup: words.find((w) => w.includes("/setup")),
    data: dir,
    program,
    async stop() {
      await program.stop("SIGINT");
      await own?.remove();
    },
  };
}

/** Makes the first admin through the API, as the setup page does, and returns the session cookie's header. */
export async function setUp(demo: { url: string; setup: string | undefined }): Promise<string> {
  const token = new URL(demo.setup ?? "").hash.slice(1);
  const answer = await fetch(`${demo.url}/api/setup`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Origin: demo.url },
    body: JSON.stringify({ token, ...admin }),
  });
  if (!answer.ok) throw new Error(`setup: ${answer.status} ${await answer.text()}`);
  return (answer.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
}

/** Signs a browser page in by the cookie that setUp returned. */
export async function signIn(page: Page, url: string, cookie: string): Promise<void> {
  const [name = "", value = ""] = cookie.split("=");
  await page.context().addCookies([{ name, value, url }]);
}

/** Calls the API as the owner of the cookie. */
export async function api<T>(
  url: string,
  cookie: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { "Content-Type": "application/json", Origin: url, Cookie: cookie },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return (text ? JSON.parse(text) : undefined) as T;
}

/** Runs a built program to its end. */
export const runBuilt = (name: string, ...args: string[]): Promise<string> => run([join(bin, name), ...args]);
