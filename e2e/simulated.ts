/** A gateway with a fleet of simulated devices, whose inventory is whole. */
import { join } from "node:path";
import { bin, eventually, freePort, Program, scratch } from "./program.ts";
import { api, setUp } from "./stack.ts";

/** A running gateway and the devices on it. */
export interface Fleet {
  readonly url: string;
  readonly cookie: string;
  /** How many devices there are. */
  readonly devices: number;
  stop(): Promise<void>;
}

/** Starts both and waits until every device is online and known whole. `twins` pairs share a serial number. */
export async function startFleet(devices: number, twins: number): Promise<Fleet> {
  const own = await scratch();
  const port = await freePort();
  const gateway = new Program([join(bin, "handrail-gateway"), "run", "--data", own.dir], {
    HANDRAIL_LISTEN: `127.0.0.1:${port}`,
    HANDRAIL_TURN_LISTEN: "127.0.0.1:0",
  });
  const said = await gateway.says(/^Handrail .*?(https?:\/\/\S+).*$/m, 60_000);
  const words = said[0].split(/\s+/).filter((w) => w.startsWith("http"));
  const url = new URL(words[0] ?? "").origin;
  const cookie = await setUp({ url, setup: words.find((w) => w.includes("/setup")) });
  const token = await api<{ token: string }>(url, cookie, "POST", "/api/enrollment-tokens", {
    group_id: "grp_root",
    uses: devices,
    ttl_seconds: 3600,
    note: "simulated",
  });
  const simulation = new Program([
    join(bin, "handrail-agent"),
    "simulate",
    ...["--gateway", url, "--token", token.token, "--count", String(devices), "--twins", String(twins)],
    ...["--every", "1s"],
  ]);
  await simulation.says(new RegExp(`online ${devices} refused 0 complete ${devices} `), 120_000);
  // What is installed is counted a moment after it arrives; every device has this.
  await eventually(
    "software counted",
    async () => {
      const found = await api<{ total: number }>(url, cookie, "GET", "/api/devices?limit=1&q=software:bash");
      return found.total === devices;
    },
    60_000,
  );
  return {
    url,
    cookie,
    devices,
    async stop() {
      await simulation.stop("SIGINT");
      await gateway.stop("SIGINT");
      await own.remove();
    },
  };
}
