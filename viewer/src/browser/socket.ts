/**
 * The page's one WebSocket to the gateway. It comes back by itself: with back-off and jitter when
 * idle, within a second and with overlapping attempts while somebody holds it urgent. A new
 * connection is made before a doubtful one is let go.
 */
import { type Backoff, waitMs } from "../session/backoff.ts";
import { Emitter } from "../session/emitter.ts";
import { decodeGateway, encode, type Message } from "../session/envelope.ts";
import type { Bodies, Code, fromBrowser, fromGateway } from "../session/wire.gen.ts";

/** Thrown by `ticket` when the operator is not signed in any more: the socket stays closed. */
export class SignedOut extends Error {
  override name = "SignedOut";
}

/** An `error` message that answered a request. */
export class Refusal extends Error {
  override name = "Refusal";
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

/** connecting: the first attempt; ready: messages flow; waiting: lost, trying again; closed: for good. */
export type SocketState = "connecting" | "ready" | "waiting" | "closed";

/** What a page may send. */
export type BrowserType = (typeof fromBrowser)[number];
/** What the gateway sends. */
export type GatewayMessage = Message<(typeof fromGateway)[number]>;

/** What a GatewaySocket tells. */
export interface SocketEvents {
  state: SocketState;
  /** A connection is up, the first or a new one: join and subscribe again. */
  ready: undefined;
  message: GatewayMessage;
}

/** How to reach the gateway. */
export interface SocketOptions {
  /** Address of the socket; by default /api/socket of this page's own origin. */
  readonly url?: string;
  /** Fetches a fresh one-time ticket: POST /api/socket-ticket. Throws SignedOut on 401. */
  readonly ticket: (signal: AbortSignal) => Promise<string>;
}

const idle: Backoff = { firstMs: 500, mostMs: 15_000 };
const urgent: Backoff = { firstMs: 150, mostMs: 900 };
/** While urgent, another attempt joins a silent one after this: a lost SYN is repeated too slowly. */
const staggerMs = 1000;
const mostAttempts = 4;
const attemptMs = 10_000;

interface Attempt {
  readonly abort: AbortController;
  socket: WebSocket | null;
}

/** See the file's comment. Starts nothing before `connect`. */
export class GatewaySocket extends Emitter<SocketEvents> {
  readonly #options: SocketOptions;
  readonly #attempts = new Set<Attempt>();
  readonly #pending = new Map<string, { resolve: (m: GatewayMessage) => void; reject: (e: Error) => void }>();
  #socket: WebSocket | null = null;
  #state: SocketState = "closed";
  #failures = 0;
  #timer: number | undefined;
  #holds = 0;
  #doubted = false;
  #ids = 0;
  #listening: AbortController | null = null;

  constructor(options: SocketOptions) {
    super();
    this.#options = options;
  }

  get state(): SocketState {
    return this.#state;
  }

  /** Begins to connect, and to stay connected. Does nothing when it has begun. */
  connect(): void {
    if (this.#state !== "closed") return;
    this.#listening = new AbortController();
    addEventListener("online", () => this.doubt(), { signal: this.#listening.signal });
    this.#failures = 0;
    this.#set("connecting");
    this.#begin();
  }

  /** Ends the connection and all attempts. `connect` may be called again. */
  close(): void {
    this.#listening?.abort();
    this.#listening = null;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dropAttempts();
    const s = this.#socket;
    this.#socket = null;
    s?.close(1000);
    this.#rejectPending();
    this.#set("closed");
  }

  /** Makes reconnecting urgent (within a second) until the returned function is called. */
  hold(): () => void {
    this.#holds++;
    let held = true;
    if (this.#state === "waiting" && this.#attempts.size === 0) this.#schedule();
    return () => {
      if (held) this.#holds--;
      held = false;
    };
  }

  /** Says that the connection may be dead or the network is back: makes a new one at once, keeping the old meanwhile. */
  doubt(): void {
    if (this.#state === "closed" || this.#attempts.size >= mostAttempts) return;
    this.#failures = 0;
    this.#doubted = true;
    this.#begin();
  }

  /** Sends a message; returns false when there is no connection to take it. */
  send<T extends BrowserType>(type: T, body: Bodies[T], id?: string): boolean {
    if (this.#socket === null || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(encode(type, body, id));
    return true;
  }

  /** Returns an id for a message whose answer or refusal should be told apart. */
  newId(): string {
    return String(++this.#ids);
  }

  /** Sends a message and waits for what answers it. Rejects with Refusal, or when the connection goes. */
  request<T extends BrowserType>(type: T, body: Bodies[T]): Promise<GatewayMessage> {
    const id = this.newId();
    return new Promise((resolve, reject) => {
      if (!this.send(type, body, id)) {
        reject(new Error("not connected to the gateway"));
        return;
      }
      this.#pending.set(id, { resolve, reject });
    });
  }

  #set(state: SocketState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.emit("state", state);
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const attempt: Attempt = { abort: new AbortController(), socket: null };
    this.#attempts.add(attempt);
    const signal = AbortSignal.any([attempt.abort.signal, AbortSignal.timeout(attemptMs)]);
    this.#try(attempt, signal).then(
      (socket) => this.#won(attempt, socket),
      (cause: unknown) => this.#lost(attempt, cause),
    );
    if (this.#holds > 0) {
      this.#timer = window.setTimeout(() => {
        if (this.#attempts.size > 0 && this.#attempts.size < mostAttempts) this.#begin();
      }, staggerMs);
    }
  }

  /** Resolves with a socket on which the gateway has said ready. */
  async #try(attempt: Attempt, signal: AbortSignal): Promise<WebSocket> {
    const ticket = await this.#options.ticket(signal);
    signal.throwIfAborted();
    const socket = new WebSocket(this.#options.url ?? defaultUrl());
    attempt.socket = socket;
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(new Error("attempt given up")));
      socket.onopen = () => socket.send(encode("ticket", { ticket }));
      socket.onclose = () => reject(new Error("closed before ready"));
      socket.onmessage = (e) => {
        const m = read(e.data);
        if (m?.type === "ready") resolve(socket);
        else if (m?.type === "error") reject(new Refusal(m.body.code, m.body.message));
      };
    });
  }

  #won(attempt: Attempt, socket: WebSocket): void {
    this.#attempts.delete(attempt);
    this.#dropAttempts();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const old = this.#socket;
    this.#socket = socket;
    this.#failures = 0;
    this.#doubted = false;
    if (old !== null) {
      old.onclose = null;
      old.onmessage = null;
      old.close(1000);
      this.#rejectPending();
    }
    socket.onmessage = (e) => {
      const m = read(e.data);
      if (m !== null) this.#take(m);
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#rejectPending();
      this.#set("waiting");
      if (this.#attempts.size === 0) this.#schedule();
    };
    this.#set("ready");
    this.emit("ready", undefined);
    if (socket.readyState !== WebSocket.OPEN) socket.onclose(new CloseEvent("close"));
  }

  #lost(attempt: Attempt, cause: unknown): void {
    attempt.socket?.close();
    if (!this.#attempts.delete(attempt) || this.#state === "closed") return;
    if (cause instanceof SignedOut) {
      this.close();
      return;
    }
    if (this.#attempts.size > 0 || (this.#socket !== null && !this.#doubted)) return;
    this.#failures++;
    if (this.#socket === null) this.#set("waiting");
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const wait = waitMs(this.#holds > 0 ? urgent : idle, Math.max(1, this.#failures), Math.random());
    this.#timer = window.setTimeout(() => this.#begin(), wait);
  }

  #take(m: GatewayMessage): void {
    this.#doubted = false; // it lives
    if (m.type === "drain") {
      // Another node takes over; the old connection serves until the new one is ready.
      const wait = m.body.reconnect_after_ms * (0.5 + Math.random());
      window.setTimeout(() => this.doubt(), wait);
    }
    const waiting = m.re === undefined ? undefined : this.#pending.get(m.re);
    if (waiting !== undefined && m.re !== undefined) {
      this.#pending.delete(m.re);
      if (m.type === "error") waiting.reject(new Refusal(m.body.code, m.body.message));
      else waiting.resolve(m);
    }
    this.emit("message", m);
  }

  #dropAttempts(): void {
    for (const a of this.#attempts) {
      this.#attempts.delete(a);
      if (a.socket !== null) a.socket.onclose = null;
      a.abort.abort();
      a.socket?.close();
    }
  }

  #rejectPending(): void {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const w of waiting) w.reject(new Error("the connection to the gateway was lost"));
  }
}

function read(data: unknown): GatewayMessage | null {
  if (typeof data !== "string") return null;
  try {
    return decodeGateway(data);
  } catch {
    return null; // what is no message is nobody's; the next one may be
  }
}

function defaultUrl(): string {
  const url = new URL("/api/socket", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
