/** Thousands of idle devices on one gateway, and all of them coming back after it restarts. */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { residentMib } from "../desktop.ts";
import { bin, eventually, freePort, Program, scratch } from "../program.ts";
import { api, setUp } from "../stack.ts";
import { type Benchmark, summarise } from "./figure.ts";

const count = 5000;

export const fleet: Benchmark = {
  bars: [
    { name: "idle_agents", unit: "devices", bar: count, better: "higher" },
    { name: "idle_agent_kb", unit: "KiB", bar: 40, better: "lower" },
    { name: "restart_return_s", unit: "s", bar: 15, better: "lower" },
  ],
  async run() {
    const { dir, remove } = await scratch();
    const env = { HANDRAIL_LISTEN: `127.0.0.1:${await freePort()}`, HANDRAIL_TURN_LISTEN: "off" };
    const start = () => new Program([join(bin, "handrail-gateway"), "run", "--data", dir], env);
    let gateway = start();
    const [line] = await gateway.says(/^Handrail .*http:\/\/.*$/m);
    const setup = line.split(/\s+/).find((w) => w.includes("/setup"));
    const url = new URL(setup ?? "").origin;
    const cookie = await setUp({ url, setup });
    const { token } = await api<{ token: string }>(url, cookie, "POST", "/api/enrollment-tokens", {
      group_id: "grp_root",
      uses: count,
      ttl_seconds: 3600,
      note: "benchmark",
    });
    const rest = await residentMib(gateway.child.pid ?? 0);
    const devices = new Program([
      join(bin, "handrail-agent"),
      "simulate",
      "--gateway",
      url,
      "--token",
      token,
      "--count",
      String(count),
      "--every",
      "1s",
    ]);
    type Overview = { devices: { online: number } };
    const online = async () => (await api<Overview>(url, cookie, "GET", "/api/overview")).devices.online;
    try {
      await eventually("all devices online", async () => (await online()) >= count, 300_000);
      await wait(30_000); // inventories are in; what is left is what an idle device costs
      const perDevice = ((await residentMib(gateway.child.pid ?? 0)) - rest) * (1024 / count);
      const idle = await online();
      await gateway.stop("SIGTERM");
      const restarted = performance.now();
      gateway = start();
      await gateway.says(/http:\/\//);
      await eventually("all devices back", async () => (await online()) >= count, 120_000);
      const back = (performance.now() - restarted) / 1000;
      return [
        summarise("idle_agents", [idle]),
        summarise("idle_agent_kb", [perDevice]),
        summarise("restart_return_s", [back]),
      ];
    } finally {
      await devices.stop();
      await gateway.stop();
      await remove();
    }
  },
};
