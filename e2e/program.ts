/** Starting and stopping real programs, and waiting for what they say rather than for time to pass. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** The directory of the built programs. */
export const bin = resolve(import.meta.dirname, "../bin");

/** A started program whose output is kept for the failure message. */
export class Program {
  readonly child: ChildProcess;
  readonly exited: Promise<number | null>;
  private output = "";
  private readonly listeners = new Set<() => void>();
  private ended = false;

  readonly argv: readonly string[];

  constructor(argv: readonly string[], env: Record<string, string> = {}, options: SpawnOptions = {}) {
    this.argv = argv;
    const [command, ...args] = argv;
    if (command === undefined) throw new Error("no program");
    this.child = spawn(command, args, {
      ...options,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on("data", (chunk: Buffer) => {
        this.output += chunk.toString();
        for (const l of this.listeners) l();
      });
    }
    this.exited = new Promise((done) => {
      const end = (code: number | null) => {
        this.ended = true;
        for (const l of this.listeners) l();
        done(code);
      };
      this.child.on("exit", end);
      this.child.on("error", (e) => {
        this.output += String(e);
        end(null);
      });
    });
  }

  /** Everything it has said so far. */
  get said(): string {
    return this.output;
  }

  /** Waits until the output matches, and returns the match. */
  async says(pattern: RegExp, withinMs = 60_000): Promise<RegExpMatchArray> {
    return new Promise((done, fail) => {
      const timer = setTimeout(() => finish(new Error("did not say")), withinMs);
      const look = () => {
        const m = this.output.match(pattern);
        if (m) finish(m);
        else if (this.ended) finish(new Error("ended without saying"));
      };
      const finish = (r: RegExpMatchArray | Error) => {
        clearTimeout(timer);
        this.listeners.delete(look);
        if (r instanceof Error)
          fail(
            new Error(
              `${this.argv.join(" ")}: ${r.message} ${pattern} in ${withinMs} ms:\n${this.output.slice(-4000)}`,
            ),
          );
        else done(r);
      };
      this.listeners.add(look);
      look();
    });
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    if (!this.ended) this.child.kill(signal);
    return this.exited;
  }
}

/** Runs a program to its end and returns its standard output and error; rejects when it fails. */
export async function run(argv: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const p = new Program(argv, env);
  const code = await p.exited;
  if (code !== 0) throw new Error(`${argv.join(" ")} exited ${code}:\n${p.said.slice(-4000)}`);
  return p.said;
}

/** A scratch directory and the function that removes it. */
export async function scratch(): Promise<{ dir: string; remove: () => Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), "handrail-e2e-"));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

/** Asks again every 50 ms until `ask` gives something, for things that can only be looked at. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | undefined | false>,
  withinMs = 60_000,
): Promise<T> {
  const until = Date.now() + withinMs;
  for (;;) {
    const got = await ask();
    if (got !== undefined && got !== false) return got;
    if (Date.now() > until) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((r) => setTimeout(r, 50));
  }
}

/** A loopback port that was free a moment ago, for programs that must come back on the same one. */
export async function freePort(): Promise<number> {
  return new Promise((done) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const address = s.address();
      s.close(() => done(typeof address === "object" && address ? address.port : 0));
    });
  });
}
