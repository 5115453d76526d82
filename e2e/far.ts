/** A device on another host, whose cable can be pulled, watched live from a browser here. */
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { openChromium } from "./browser.ts";
import { buildXapp } from "./desktop.ts";
import { enrollDevice, onlineDevice } from "./device.ts";
import { connect, keepPeers, totals } from "./live.ts";
import { OtherHost } from "./netns.ts";
import { bin, eventually, Program, scratch } from "./program.ts";
import { api, setUp, signIn } from "./stack.ts";

/** One entry of a session's record. */
export interface Entry {
  readonly kind: string;
}

/** A live session with a device on another host, over TLS with the gateway's own authority. */
export class FarSession {
  readonly host: OtherHost;
  page!: Page;
  private url = "";
  private cookie = "";
  private browser: Browser | undefined;
  private readonly programs: Program[] = [];
  private readonly dir: string;
  private readonly remove: () => Promise<void>;

  private constructor(host: OtherHost, dir: string, remove: () => Promise<void>) {
    this.host = host;
    this.dir = dir;
    this.remove = remove;
  }

  /** Starts everything and returns once the session is live and pictures come. */
  static async open(): Promise<FarSession> {
    const { dir, remove } = await scratch();
    const far = new FarSession(await OtherHost.open(), dir, remove);
    try {
      await far.begin();
    } catch (cause) {
      await far.close();
      throw cause;
    }
    return far;
  }

  private start(argv: string[], env: Record<string, string> = {}): Program {
    const p = new Program(argv, env);
    this.programs.push(p);
    return p;
  }

  private async begin(): Promise<void> {
    const { host, dir } = this;
    const gateway = this.start([join(bin, "handrail-gateway"), "run", "--data", dir], {
      HANDRAIL_LISTEN: `${host.here}:0`,
      HANDRAIL_TURN_LISTEN: `${host.here}:0`,
      HANDRAIL_TURN_TLS_LISTEN: "off",
    });
    const [line] = await gateway.says(/^Handrail .*https:\/\/.*$/m);
    const setup = line.split(/\s+/).find((w) => w.includes("/setup"));
    this.url = new URL(setup ?? "").origin;
    // The gateway's own certificate authority is new to this machine; the agent pins it at enrollment.
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    this.cookie = await setUp({ url: this.url, setup });
    const { url, cookie } = this;
    const x = this.start(["Xvfb", "-displayfd", "1", "-screen", "0", "1280x720x24", "-nolisten", "tcp"]);
    const display = { DISPLAY: `:${(await x.says(/^(\d+)$/m))[1]}` };
    const app = this.start(
      [await buildXapp(), "-mode", "scroll", "-rate", "10", "-w", "1280", "-h", "720"],
      display,
    );
    await app.says(/ready/);
    this.start(await enrollDevice({ url, cookie }, dir, "far-away", (argv) => host.on(argv)), display);

    this.browser = await openChromium(["--ignore-certificate-errors"]);
    const context = await this.browser.newContext({ ignoreHTTPSErrors: true });
    await keepPeers(context);
    this.page = await context.newPage();
    await signIn(this.page, url, cookie);
    await this.page.goto(`${url}/devices/${await onlineDevice({ url, cookie })}`);
    await connect(this.page);
    await eventually("session live", async () => (await this.state()) === "live");
    const { frames } = await this.totals();
    await eventually("frames", async () => (await this.totals()).frames > frames + 20);
  }

  private get id(): string {
    return /ses_[0-9a-z]+/.exec(this.page.url())?.[0] ?? "";
  }

  private totals(): ReturnType<typeof totals> {
    return totals(this.page);
  }

  async state(): Promise<string> {
    return (await api<{ state: string }>(this.url, this.cookie, "GET", `/api/sessions/${this.id}`)).state;
  }

  /** The session's record so far. */
  async timeline(): Promise<readonly Entry[]> {
    type Session = { timeline: Entry[] };
    return (await api<Session>(this.url, this.cookie, "GET", `/api/sessions/${this.id}`)).timeline;
  }

  /** Pulls the cable while `away` runs; returns the milliseconds from its return to the next picture. */
  async cut(away: () => Promise<void>): Promise<number> {
    await this.host.unplug();
    await away();
    const { frames } = await this.totals();
    await this.host.plug();
    const plugged = performance.now();
    await eventually("a picture after the cable is back", async () => (await this.totals()).frames > frames);
    return performance.now() - plugged;
  }

  async close(): Promise<void> {
    await this.browser?.close();
    for (const p of this.programs.reverse()) await p.stop();
    await this.host.close();
    await this.remove();
  }
}
