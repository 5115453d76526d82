/** The tools of the device inside the page: figures that move, so that panes have something to show. */
import type { Bodies } from "../src/session/wire.gen.ts";
import type { FakeAgent, ToolSay } from "./agent.ts";

/** Gives the device every tool the tests need, and the rights to them. */
export function addTools(agent: FakeAgent, alone: boolean): void {
  const may: Bodies["status"]["may"] = alone ? ["diagnostics"] : [...agent.status.may, "diagnostics"];
  agent.status = { ...agent.status, granted: may, may };
  agent.serves.vitals = (say, type) => {
    if (type === "vitals.watch") vitals(agent, say);
  };
}

/** The figures of the past minute at once, then one each 200 ms: a test does not wait for seconds. */
function vitals(agent: FakeAgent, say: ToolSay): void {
  say("vitals.parts", {
    cores: 4,
    memory_bytes: 8 * 2 ** 30,
    swap_bytes: 2 ** 30,
    disks: ["nvme0n1", "sda"],
    volumes: [
      { mount: "/", bytes: 100 * 2 ** 30 },
      { mount: "/var", bytes: 40 * 2 ** 30 },
    ],
    networks: ["eth0", "wlan0"],
    sensors: ["CPU package"],
    pressure: true,
    battery: true,
  });
  let tick = 0;
  const start = Date.now() - 60_000;
  const figure = (): Bodies["vitals"] => {
    const wave = Math.sin(tick / 6) * 0.4 + 0.5;
    return {
      time_ms: start + tick * 1000,
      cores: [0, 1, 2, 3].map((c) => Math.round(1000 * wave * (c === 0 ? 1 : 0.3))),
      load: [wave * 4, 1.5, 1.2],
      memory: (3 + wave) * 2 ** 30,
      swap: 2 ** 28,
      pressure: { cpu: 120, memory: 3, io: 40 },
      disks: [
        { read: 4e6 * wave, write: 1e6, busy: 300, wait: 2.4 },
        { read: 0, write: 0, busy: 0, wait: 0 },
      ],
      volumes: [50 * 2 ** 30, 39 * 2 ** 30],
      networks: [
        { in: 2e6 * wave, out: 3e5 },
        { in: 0, out: 0 },
      ],
      sensors: [48 + 10 * wave],
      battery: { charge: 640, charging: false },
    };
  };
  for (; tick < 60; tick++) say("vitals", figure());
  setInterval(() => {
    say("vitals", figure());
    agent.figures = ++tick;
  }, 200);
}
