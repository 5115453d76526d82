/** A second host on this machine: a network namespace joined to ours by a veth pair. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, scratch } from "./program.ts";

/** Ports of the gateway that a firewall lets through; everything else is dropped, in silence. */
export interface Open {
  readonly tcp: readonly number[];
  readonly udp: readonly number[];
}

const asRoot: readonly string[] = process.getuid?.() === 0 ? [] : ["sudo", "-n"];

const ip = (...args: string[]): Promise<string> => run([...asRoot, "ip", ...args]);

/** Our address and the other host's, on a private wire that exists only here. */
export class OtherHost {
  readonly here: string;
  readonly there: string;
  readonly name: string;
  private readonly wire: string;

  private constructor(index: number) {
    this.name = `handrail-e2e-${process.pid}-${index}`;
    this.wire = `hr${process.pid % 10000}x${index}`;
    // Another run of the tests beside this one has other addresses.
    const net = `10.${64 + (process.pid % 128)}.${index}`;
    this.here = `${net}.1`;
    this.there = `${net}.2`;
  }

  static async open(index = 1): Promise<OtherHost> {
    const h = new OtherHost(index);
    const inside = ["netns", "exec", h.name, "ip"];
    await ip("netns", "add", h.name);
    await ip("link", "add", `${h.wire}a`, "type", "veth", "peer", "name", `${h.wire}b`, "netns", h.name);
    // An IPv6 address that settles seconds later would make Chromium drop the page it is loading.
    await ip("link", "set", `${h.wire}a`, "addrgenmode", "none");
    await ip(...inside, "link", "set", `${h.wire}b`, "addrgenmode", "none");
    await ip("addr", "add", `${h.here}/24`, "dev", `${h.wire}a`);
    await ip("link", "set", `${h.wire}a`, "up");
    await ip(...inside, "addr", "add", `${h.there}/24`, "dev", `${h.wire}b`);
    await ip(...inside, "link", "set", `${h.wire}b`, "up");
    await ip(...inside, "link", "set", "lo", "up");
    await ip(...inside, "route", "add", "default", "via", h.here);
    return h;
  }

  /** The command that runs argv on the other host. */
  on(argv: readonly string[]): string[] {
    return [...asRoot, "ip", "netns", "exec", this.name, ...argv];
  }

  /** Pulls the other host's cable: its interface goes down, as when a laptop leaves the network. */
  async unplug(): Promise<void> {
    await ip("netns", "exec", this.name, "ip", "link", "set", `${this.wire}b`, "down");
  }

  /** Plugs it in again; the kernel has dropped the default route meanwhile. */
  async plug(): Promise<void> {
    await ip("netns", "exec", this.name, "ip", "link", "set", `${this.wire}b`, "up");
    await ip("netns", "exec", this.name, "ip", "route", "replace", "default", "via", this.here);
  }

  /** Puts a firewall around the other host that lets it speak with these ports of ours only. */
  async firewall(open: Open): Promise<void> {
    const lets = (hook: string, device: string, word: string) => [
      `add chain inet wall ${hook} { type filter hook ${hook} priority 0; policy drop; }`,
      `add rule inet wall ${hook} ${device} lo accept`,
      ...(["tcp", "udp"] as const)
        .filter((kind) => open[kind].length > 0)
        .map((kind) => `add rule inet wall ${hook} ${kind} ${word} { ${open[kind].join(", ")} } accept`),
    ];
    await this.nft(
      [
        "add table inet wall",
        "delete table inet wall",
        "add table inet wall",
        ...lets("output", "oifname", "dport"),
        ...lets("input", "iifname", "sport"),
        "",
      ].join("\n"),
    );
  }

  private async nft(rules: string): Promise<void> {
    const { dir, remove } = await scratch();
    try {
      const file = join(dir, "rules.nft");
      await writeFile(file, rules);
      await run(this.on(["nft", "-f", file]));
    } finally {
      await remove();
    }
  }

  async close(): Promise<void> {
    await ip("netns", "delete", this.name).catch(() => undefined);
  }
}
