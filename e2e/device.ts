/** A device beside the demo: an agent of its own, in a group that lets people connect without asking. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { bin, eventually, run } from "./program.ts";
import { api } from "./stack.ts";

/** Who asks the gateway, and where it is. */
export interface Gateway {
  readonly url: string;
  readonly cookie: string;
}

/**
 * Makes a group and a token, and enrolls a device with the command the gateway gives for it, which also pins
 * the gateway's own authority. `on` puts the agent on another host. Returns the agent's `run` command.
 */
export async function enrollDevice(
  gateway: Gateway,
  dir: string,
  name: string,
  on: (argv: readonly string[]) => string[] = (argv) => [...argv],
): Promise<string[]> {
  const { url, cookie } = gateway;
  const group = await api<{ id: string }>(url, cookie, "POST", "/api/groups", {
    name: `Group of ${name}`,
    parent_id: "grp_root",
    unattended: { enabled: true, capabilities: ["view", "control"] },
  });
  const { command } = await api<{ command: string }>(url, cookie, "POST", "/api/enrollment-tokens", {
    group_id: group.id,
    uses: 1,
    ttl_seconds: 600,
    note: "",
  });
  const state = join(dir, name);
  await mkdir(state, { mode: 0o700 });
  const agent = join(bin, "handrail-agent");
  const options = command.replace(/^.*?\senroll\s/, "").split(/\s+/);
  await run(on([agent, "enroll", ...options, "--state", state, "--name", name]));
  return on([agent, "run", "--state", state]);
}

/** The id of the only device, once it is online. */
export async function onlineDevice({ url, cookie }: Gateway): Promise<string> {
  type Devices = { items: { id: string; state: string }[] };
  const found = await eventually("the device online", async () => {
    const { items } = await api<Devices>(url, cookie, "GET", "/api/devices");
    return items.find((d) => d.state === "online");
  });
  return found.id;
}
