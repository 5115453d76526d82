import { vi } from "vitest";
import type { ComplianceCounts, Device, DeviceGroup, Me } from "../api/types.ts";

type Answer = { status?: number; body?: unknown };
type Handler = (request: { url: URL; body: unknown }) => Answer | Promise<Answer>;

/**
 * A gateway that answers what the test says, by "METHOD /path". What it was not told is a
 * 404 problem, as the real one gives. It remembers what it was asked.
 */
export class FakeGateway {
  readonly asked: {
    method: string;
    path: string;
    search: string;
    body: unknown;
    ifMatch: string | null;
  }[] = [];
  readonly #handlers = new Map<string, Handler>();

  constructor() {
    vi.stubGlobal("fetch", (input: string, init?: RequestInit) => this.#answer(input, init));
    this.on("POST /api/socket-ticket", () => ({ status: 503, body: { detail: "no sockets in this test" } }));
    this.on("GET /api/setup", () => ({
      status: 404,
      body: { code: "not_found", detail: "there is nothing" },
    }));
  }

  on(route: string, handler: Handler | Answer): this {
    this.#handlers.set(route, typeof handler === "function" ? handler : () => handler);
    return this;
  }

  /** What was asked of a route, in order. */
  requests(method: string, path: string) {
    return this.asked.filter((r) => r.method === method && r.path === path);
  }

  async #answer(input: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(input, "http://gateway.test");
    const method = init.method ?? "GET";
    const isJson = new Headers(init.headers).get("Content-Type") === "application/json";
    const body: unknown = isJson ? JSON.parse(String(init.body)) : init.body;
    const ifMatch = new Headers(init.headers).get("If-Match");
    this.asked.push({ method, path: url.pathname, search: url.search, body, ifMatch });
    const handler = this.#handlers.get(`${method} ${url.pathname}`);
    const nothing = { code: "not_found", detail: "there is nothing at this address" };
    const { status = 200, body: answer } = handler
      ? await handler({ url, body })
      : { status: 404, body: nothing };
    const empty = answer === undefined || status === 204;
    return new Response(empty ? null : JSON.stringify(answer), { status: empty ? 204 : status });
  }
}

export const everything = [
  "device.view",
  "device.manage",
  "device.enroll",
  "device.revoke",
  "session.view",
  "session.control",
  "session.list",
  "group.view",
  "group.manage",
  "operator.view",
  "operator.manage",
  "audit.view",
  "overview.view",
  "settings.view",
];

/** No device in any state of compliance. */
export const noCounts: ComplianceCounts = {
  non_compliant: 0,
  error: 0,
  in_grace: 0,
  unknown: 0,
  waived: 0,
  compliant: 0,
  not_applicable: 0,
};

export function someMe(part: Partial<Me> = {}): Me {
  return {
    id: "opr_1",
    name: "Ada Marsh",
    email: "ada@example.org",
    organisation: "Northwind",
    permissions: everything,
    grants: [],
    version: "test",
    ...part,
  };
}

export function someDevice(part: Partial<Device> = {}): Device {
  return {
    id: "dev_1",
    name: "reception-1",
    state: "online",
    group_id: "grp_root",
    group_path: ["All devices"],
    hostname: "reception-1",
    os: "linux",
    os_version: "Debian GNU/Linux 12",
    arch: "amd64",
    agent_version: "1",
    model: "",
    serial: "",
    signed_in: [],
    enrolled_at: "2026-11-20T10:00:00Z",
    unattended: false,
    assets: {},
    labels: [],
    cpu: "",
    disk_bytes: 0,
    memory_bytes: 0,
    encrypted: "unknown",
    may: everything,
    capabilities: ["view", "control", "clipboard", "files"],
    ...part,
  };
}

export function someGroup(part: Partial<DeviceGroup> = {}): DeviceGroup {
  return {
    id: "grp_root",
    name: "All devices",
    path: ["All devices"],
    revision: 1,
    in_force: { enabled: false, capabilities: [] },
    may: everything,
    ...part,
  };
}
