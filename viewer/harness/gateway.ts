/**
 * A gateway inside the page: stands in for WebSocket and speaks the browser's half of the protocol
 * to it. The device behind it is `FakeAgent`.
 */
import type { Bodies, Capability, MessageType } from "../src/session/wire.gen.ts";
import type { FakeAgent } from "./agent.ts";

type Envelope = { [K in MessageType]: { type: K; body: Bodies[K]; id?: string } }[MessageType];

/** What the page's sockets are connected to. */
export class FakeGateway {
  /** While false every connection is refused and those that are open are gone. */
  up = true;
  /** While true sockets stay open and carry nothing, as over a dead network. */
  mute = false;
  state: Bodies["session.state"] = {
    session: "ses_test",
    state: "live",
    granted: ["view", "control", "clipboard"],
    online: true,
  };
  /** What the operator may use in the session if it is granted. */
  capabilities: readonly Capability[] = ["view", "control", "clipboard", "diagnostics"];
  /** Every message of the browser, in order. */
  readonly got: Envelope[] = [];
  /** What joins are refused with; null takes them. */
  refusal: Bodies["error"] | null = null;
  readonly sockets = new Set<FakeSocket>();
  agent: FakeAgent | null = null;
  #peers = 0;

  /** Makes `new WebSocket` of this page connect here. */
  install(): void {
    const gateway = this;
    class Connected extends FakeSocket {
      constructor() {
        super(gateway);
      }
    }
    Object.assign(globalThis, { WebSocket: Connected });
  }

  /** Hands out tickets, as POST /api/socket-ticket does. */
  ticket = async (): Promise<string> => {
    if (!this.up) throw new TypeError("connection refused");
    if (this.mute) await new Promise(() => undefined);
    return "ticket";
  };

  /** Kills every connection, as a SIGKILL of the gateway does. */
  die(): void {
    this.up = false;
    for (const s of [...this.sockets]) s.drop();
  }

  /** Sends to every browser. */
  tell<T extends MessageType>(type: T, body: Bodies[T], re?: string): void {
    if (this.mute) return;
    const text = JSON.stringify({ v: 1, type, body, ...(re === undefined ? {} : { re }) });
    for (const s of this.sockets) s.deliver(text);
  }

  /** Changes the session's state and tells it. */
  change(state: Partial<Bodies["session.state"]>): void {
    this.state = { ...this.state, ...state };
    this.tell("session.state", this.state);
  }

  take(m: Envelope): void {
    if (this.mute) return;
    this.got.push(m);
    switch (m.type) {
      case "ticket":
        this.tell("ready", { heartbeat_ms: 15_000 });
        break;
      case "session.join":
        this.#join(m.body, m.id);
        break;
      case "peer.offer":
        void this.agent?.offer(m.body);
        break;
      case "peer.candidate":
        void this.agent?.candidate(m.body);
        break;
      default:
        break;
    }
  }

  #join(body: Bodies["session.join"], id: string | undefined): void {
    if (this.refusal !== null) {
      this.tell("error", this.refusal, id);
      return;
    }
    const joined = {
      session: body.session,
      peer: body.peer ?? `peer_${++this.#peers}`,
      capabilities: this.capabilities,
      ice_servers: [],
      state: this.state.state,
      device_name: "demo-desktop",
    };
    this.tell("session.joined", joined, id);
    this.tell("session.state", this.state);
  }
}

/** The part of WebSocket that the viewer uses. */
class FakeSocket {
  static readonly OPEN = 1;
  readyState = 0;
  onopen: (() => void) | null = null;
  onclose: ((e: CloseEvent) => void) | null = null;
  onmessage: ((e: { data: unknown }) => void) | null = null;
  readonly #gateway: FakeGateway;

  constructor(gateway: FakeGateway) {
    this.#gateway = gateway;
    queueMicrotask(() => {
      if (!gateway.up) {
        this.drop();
        return;
      }
      this.readyState = 1;
      gateway.sockets.add(this);
      this.onopen?.();
    });
  }

  send(text: string): void {
    this.#gateway.take(JSON.parse(text) as Envelope);
  }

  close(): void {
    this.#gateway.sockets.delete(this);
    this.readyState = 3;
  }

  drop(): void {
    this.#gateway.sockets.delete(this);
    this.readyState = 3;
    this.onclose?.(new CloseEvent("close"));
  }

  deliver(text: string): void {
    queueMicrotask(() => this.onmessage?.({ data: text }));
  }
}
