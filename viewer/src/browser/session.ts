/**
 * One object per viewer of a session: properties in, events out. It joins over the gateway's socket,
 * keeps a peer connection to the device alive through restarts and lost networks, and carries
 * input, messages and clipboard texts. The picture survives the socket's death.
 */
import { ClipboardReceiver, splitClipboard } from "../session/clip.ts";
import { Emitter } from "../session/emitter.ts";
import { decodeHelper, encode, type HelperMessage } from "../session/envelope.ts";
import {
  type AgentFrame,
  decodeAgentFrame,
  encodeFrame,
  type InputFrame,
  isPointerFrame,
  isStimulus,
} from "../session/frames.ts";
import { LatencyMeter } from "../session/latency.ts";
import {
  initialView,
  isFinal,
  next,
  phaseOf,
  type SessionEvent,
  type SessionView,
  type Tier,
} from "../session/state.ts";
import type { ToolChannel } from "../session/toolchannel.ts";
import type { Bodies, Code, fromViewer, ICEServer } from "../session/wire.gen.ts";
import { type Meter, MeterReader } from "./meter.ts";
import { Peer, PeerClosed, type PeerTransport } from "./peer.ts";
import { keepTier, keptTier } from "./quality.ts";
import type { GatewayMessage, GatewaySocket } from "./socket.ts";

/** What a Session tells. */
export interface SessionEvents {
  /** `view` has changed. */
  view: SessionView;
  /** The picture's stream, again after each fresh peer connection. */
  stream: MediaStream;
  /** A frame of the agent: cursor shapes and positions. */
  agent: AgentFrame;
  /** The device's clipboard. */
  clipboard: string;
  /** New figures, about once a second while connected. */
  meter: Meter;
  /** The channels went away or came up: whatever was held is no longer. */
  channels: boolean;
}

/** What a Session needs. */
export interface SessionOptions {
  /** The page's socket; the session connects it if nobody has. */
  readonly socket: GatewaySocket;
  /** The session, or the promise of it while POST /api/sessions is under way. */
  readonly session: string | Promise<string>;
  readonly deviceName?: string;
}

/** Refusals after which trying again is of no use. */
const final: ReadonlySet<Code> = new Set<Code>([
  "forbidden",
  "unauthorized",
  "not_found",
  "ended",
  "revoked",
  "not_granted",
  "busy",
]);

/** An offer without an answer for this long is sent again over a fresh socket. */
const answerMs = 2000;
/** After an answered restart, this long to find a path before the next restart. */
const restartMs = 4000;
/** Reasons to restart that come closer together than this are one. */
const sameMs = 500;
/** Answered offers in a row that may lead nowhere before everything is built anew. */
const mostRestarts = 4;
/** How long to wait before coming again when the device has turned us away more than once. */
const turnedAwayMs = 1000;

/** See the file's comment. */
export class Session extends Emitter<SessionEvents> {
  /** Click-to-picture measurement; src/screen reports pictures to it. */
  readonly latency = new LatencyMeter();
  /** performance.now() when the session was asked for. */
  readonly startedMs = performance.now();
  /** Milliseconds from then to the first picture; null before it. */
  firstPictureMs: number | null = null;
  /** performance.now() at the last click or key that was sent. */
  lastInputMs = Number.NEGATIVE_INFINITY;
  #view: SessionView;
  #stream: MediaStream | null = null;
  readonly #socket: GatewaySocket;
  readonly #release: () => void;
  readonly #stop = new AbortController();
  readonly #clipboard = new ClipboardReceiver();
  readonly #meter: MeterReader;
  #peer: Peer;
  #servers: readonly ICEServer[] = [];
  #joinId = "";
  #offerSent = false;
  #restarts = 0;
  #turnedAway = 0;
  #offeredMs = Number.NEGATIVE_INFINITY;
  #timer: number | undefined;
  #seq = 0;
  #transfer = 0;
  #left = false;
  /** Whether the device may hold another quality than the first one for us. */
  #tiered = false;

  constructor(options: SessionOptions) {
    super();
    this.#socket = options.socket;
    this.#view = { ...initialView(options.deviceName), tier: keptTier() };
    // The offer is made while the session is still being asked for: it costs tens of milliseconds.
    this.#peer = this.#newPeer();
    this.#release = this.#socket.hold();
    const offs = [
      this.#socket.on("ready", () => this.#ready()),
      this.#socket.on("state", (s) => {
        this.#apply({ kind: "gateway", connected: s === "ready" });
        if (s === "closed") this.#refuse("unauthorized", "");
      }),
      this.#socket.on("message", (m) => this.#message(m)),
    ];
    this.#stop.signal.addEventListener("abort", () => {
      for (const off of offs) off();
    });
    addEventListener("online", () => this.#recover(), { signal: this.#stop.signal });
    addEventListener("pagehide", (e) => !e.persisted && this.leave(), { signal: this.#stop.signal });
    this.#meter = new MeterReader({
      stats: () => this.#peer.stats(),
      ping: (t) => this.send("ping", { t }),
      rtt: (ms) => this.latency.network(ms),
      meter: (m) => this.emit("meter", m),
    });
    if (this.#socket.state === "closed") this.#socket.connect();
    this.#apply({ kind: "gateway", connected: this.#socket.state === "ready" });
    if (typeof options.session === "string") this.#created(options.session);
    else {
      options.session.then(
        (id) => this.#created(id),
        (cause: unknown) => this.#refuse(codeOf(cause), cause instanceof Error ? cause.message : ""),
      );
    }
  }

  /** Everything there is to show. A new object at every change. */
  get view(): SessionView {
    return this.#view;
  }

  /** The picture, once there is one. */
  get stream(): MediaStream | null {
    return this.#stream;
  }

  /** The figures last read; null before the first. */
  get meter(): Meter | null {
    return this.#meter.last;
  }

  /** Whether the meter is being looked at, which makes it measure the round trip every second. */
  set metered(looked: boolean) {
    this.#meter.watched = looked;
  }

  /** Calls `listener` at every change of `view`; returns what ends it. */
  subscribe = (listener: () => void): (() => void) => this.on("view", listener);

  /** Sends a message to the agent; false when there is no connection. */
  send<T extends (typeof fromViewer)[number]>(type: T, body: Bodies[T]): boolean {
    return this.#peer.sendControl(encode(type, body));
  }

  /**
   * Opens a channel to a tool of the device; null while there is no connection. The channel closes
   * with the connection: open a new one when `view.transport` is "connected" again.
   */
  openTool(name: string): ToolChannel | null {
    return this.#view.transport === "connected" ? this.#peer.openTool(name) : null;
  }

  /** Sends an input frame. Returns its number, or 0 when it was not sent. */
  sendInput(f: InputFrame): number {
    const seq = this.#seq + 1;
    const bytes = encodeFrame(seq, f);
    const sent = isPointerFrame(f) ? this.#peer.sendPointer(bytes) : this.#peer.sendControl(bytes);
    if (!sent) return 0;
    this.#seq = seq;
    if (isStimulus(f)) {
      const now = performance.now();
      this.latency.sent(seq, now);
      this.lastInputMs = now;
      this.#meter.active(now);
    }
    return seq;
  }

  /** Sends a text to the device's clipboard; false when it is too long or there is no connection. */
  sendClipboard(text: string): boolean {
    const frames = splitClipboard(++this.#transfer, text);
    if (frames === null) {
      this.notice("too_large", "The clipboard holds more than 1 MiB of text; it was not sent.");
      return false;
    }
    return frames.every((f) => this.#peer.sendClipboard(f));
  }

  /** Asks for control; when another viewer holds it, that viewer is asked. */
  askControl(): void {
    const held = this.#view.control !== "" && this.#view.control !== this.#view.peer;
    if (this.send("control.ask", {})) this.#apply({ kind: "asking", asking: held });
  }

  /** Hands control to another viewer, or turns a request down when `give` is false. */
  answerControl(peer: string, give: boolean): void {
    if (give) this.send("control.give", { peer });
    this.#apply({ kind: "answered", peer });
  }

  /** Gives control up, or withdraws the request for it. */
  dropControl(): void {
    if (this.send("control.drop", {})) this.#apply({ kind: "asking", asking: false });
  }

  /** Shows another monitor; 0 is the whole desktop. */
  selectMonitor(monitor: number): void {
    this.send("monitor.select", { monitor });
  }

  /** Asks for a quality of the picture, in this session and those to come. */
  chooseTier(tier: Tier): void {
    keepTier(tier);
    this.#apply({ kind: "tier", tier });
    this.#tiered = this.send("picture.tier", { tier }) || this.#tiered;
  }

  /** Shows the operator a sentence. */
  notice(code: Code | "", message: string): void {
    this.#apply({ kind: "notice", code, message });
  }

  /** Says that a picture has been put on the screen. */
  pictureShown(): void {
    if (this.#stream === null) return; // the last one of a connection that is gone
    if (this.firstPictureMs === null) this.firstPictureMs = performance.now() - this.startedMs;
    if (!this.#view.hasPicture) this.#apply({ kind: "shown" });
  }

  /** Leaves the session; the session itself goes on for others, and within its consent window for us. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    const { sessionId, peer } = this.#view;
    if (sessionId !== null && peer !== null) this.#socket.send("peer.close", { session: sessionId, peer });
    this.#shut();
  }

  #created(sessionId: string): void {
    this.#apply({ kind: "created", sessionId });
    this.#ready();
  }

  /** The socket is up, for the first time or again: join, keeping who we are. */
  #ready(): void {
    this.#apply({ kind: "gateway", connected: this.#socket.state === "ready" });
    const { sessionId, peer } = this.#view;
    if (sessionId === null || this.#isOver() || this.#socket.state !== "ready") return;
    this.#joinId = this.#socket.newId();
    const body = peer === null ? { session: sessionId } : { session: sessionId, peer };
    this.#socket.send("session.join", body, this.#joinId);
    this.#later(answerMs, () => this.#unjoined());
  }

  #message(m: GatewayMessage): void {
    const { sessionId, peer } = this.#view;
    switch (m.type) {
      case "session.joined":
        if (m.body.session === sessionId) this.#joined(m.body);
        break;
      case "session.state":
        if (m.body.session !== sessionId) break;
        this.#stated(m.body);
        break;
      case "peer.answer":
        if (m.body.peer === peer) this.#answered(m.body.sdp);
        break;
      case "peer.candidate":
        if (m.body.peer === peer) {
          this.#quietly(
            this.#peer.candidate({
              candidate: m.body.candidate,
              sdpMid: m.body.sdp_mid,
              sdpMLineIndex: m.body.sdp_m_line_index,
              ...(m.body.username_fragment ? { usernameFragment: m.body.username_fragment } : {}),
            }),
          );
        }
        break;
      case "peer.close":
        if (m.body.peer === peer) this.#closed(m.body.code ?? "", m.body.message ?? "");
        break;
      case "error":
        if (m.re !== undefined && m.re === this.#joinId) this.#joinRefused(m.body.code, m.body.message);
        else if (m.re !== undefined && m.re === this.#offerId())
          this.#offerRefused(m.body.code, m.body.message);
        break;
      default:
        break;
    }
  }

  #stated(body: Bodies["session.state"]): void {
    const wasOnline = this.#view.online;
    this.#apply({ kind: "state", body });
    if (isFinal(this.#view.state)) this.#shut();
    else if (!this.#offerSent) this.#offerIfAllowed();
    else if (!wasOnline && body.online) this.#recover();
  }

  #joined(body: Bodies["session.joined"]): void {
    const known = this.#view.peer;
    this.#joinId = "";
    this.#apply({ kind: "joined", body });
    this.#servers = body.ice_servers ?? [];
    if (isFinal(this.#view.state)) {
      this.#shut();
      return;
    }
    if (known !== null && known !== body.peer) this.#rebuild();
    if (!this.#peer.begun) this.#quietly(this.#peer.begin(this.#servers));
    else this.#quietly(this.#peer.renew(this.#servers));
    if (!this.#offerSent) this.#offerIfAllowed();
    else {
      this.#offeredMs = Number.NEGATIVE_INFINITY; // what the old socket was given may be lost
      this.#recover();
    }
  }

  #joinRefused(code: Code, message: string): void {
    this.#joinId = "";
    if (code === "not_found" && this.#view.peer !== null && this.#view.transport === "connected") return;
    if (final.has(code)) this.#refuse(code, message);
    else this.#later(answerMs, () => this.#ready());
  }

  /** Nobody said whether we are in: the socket may be dead, and a new one joins again. */
  #unjoined(): void {
    if (this.#joinId === "") return;
    this.#socket.doubt();
    this.#later(answerMs, () => this.#unjoined());
  }

  #offerId(): string {
    return `offer-${this.#view.peer ?? ""}`;
  }

  #offerRefused(code: Code, message: string): void {
    if (code === "not_found") this.#again();
    else if (code === "offline") {
      // The gateway tells when the device is back; then a first offer goes out again.
      clearTimeout(this.#timer);
      if (!this.#view.wasConnected) this.#offerSent = false;
      else this.#later(restartMs, () => this.#recover());
    } else if (final.has(code)) this.#refuse(code, message);
  }

  /** The agent, or the gateway, has closed our peer. */
  #closed(code: Code | "", message: string): void {
    // An agent that has restarted knows no such peer: the session lives, so begin anew inside it.
    if (code === "" || code === "not_found" || !final.has(code)) this.#again();
    else this.#refuse(code, message);
  }

  /** Begins anew inside the session: at once the first time, then without haste. */
  #again(): void {
    this.#rebuild();
    if (this.#turnedAway++ === 0) this.#ready();
    else this.#later(turnedAwayMs, () => this.#ready());
  }

  #offerIfAllowed(): void {
    const { state, peer } = this.#view;
    if (this.#offerSent || peer === null || !this.#peer.begun) return;
    if (state !== "consented" && state !== "live") return;
    this.#offerSent = true;
    this.#apply({ kind: "transport", transport: "connecting" });
    this.#sendOffer(this.#peer.offer(), false);
  }

  #sendOffer(made: Promise<string>, restart: boolean): void {
    const of = this.#peer;
    this.#offeredMs = performance.now();
    made.then(
      (sdp) => {
        const { sessionId, peer } = this.#view;
        if (of !== this.#peer || sessionId === null || peer === null) return;
        const body = { session: sessionId, peer, sdp, ...(restart ? { ice_restart: true } : {}) };
        this.#socket.send("peer.offer", body, this.#offerId());
        this.#later(answerMs, () => this.#unanswered());
      },
      (cause: unknown) => {
        if (!(cause instanceof PeerClosed)) this.#rebuildSoon();
      },
    );
  }

  #answered(sdp: string): void {
    const of = this.#peer;
    of.answer(sdp).then(
      () => {
        if (of === this.#peer && this.#view.transport !== "connected") {
          this.#restarts++;
          this.#later(restartMs, () => this.#recover());
        }
      },
      (cause: unknown) => {
        // The agent's side is another than the one we knew: nothing of ours fits it any more.
        if (!(cause instanceof PeerClosed)) this.#rebuildSoon();
      },
    );
  }

  /** No answer came: the socket may be dead without anybody having noticed. */
  #unanswered(): void {
    if (!this.#peer.awaitsAnswer) return;
    if (this.#view.transport === "connected") {
      this.#quietly(this.#peer.rollback());
      return;
    }
    this.#socket.doubt(); // its ready joins again, and that offers again
    this.#later(answerMs, () => this.#recover());
  }

  /** Replaces the transport if it is not up and the gateway can be reached. */
  #recover(): void {
    if (this.#isOver() || !this.#offerSent || this.#view.transport === "connected") return;
    if (this.#socket.state !== "ready" || this.#joinId !== "") return; // joined comes back here
    // Several things say at once that the connection is gone; one offer is enough for them all.
    if (this.#peer.awaitsAnswer && performance.now() - this.#offeredMs < sameMs) return;
    if (this.#restarts > mostRestarts) {
      this.#rebuild();
      this.#ready();
      return;
    }
    this.#sendOffer(this.#peer.restart(), true);
  }

  #transport(t: PeerTransport): void {
    const was = this.#view.transport;
    switch (t) {
      case "connected":
        this.#restarts = 0;
        this.#turnedAway = 0;
        clearTimeout(this.#timer);
        this.#apply({ kind: "transport", transport: "connected" });
        if (this.#tiered || this.#view.tier !== "auto") {
          this.#tiered = this.send("picture.tier", { tier: this.#view.tier }) || this.#tiered;
        }
        if (was !== "connected") this.emit("channels", true);
        this.#meter.start();
        if (this.#peer.awaitsAnswer) this.#later(answerMs, () => this.#unanswered());
        break;
      case "connecting":
        if (was === "none") break;
        this.#apply({ kind: "transport", transport: "connecting" });
        break;
      case "gone":
        this.#again();
        break;
      default:
        this.#apply({ kind: "transport", transport: "interrupted" });
        if (was === "connected") this.emit("channels", false);
        this.#meter.stop();
        this.#recover();
    }
  }

  /** Begins with a fresh peer connection in the same session. */
  #rebuild(): void {
    clearTimeout(this.#timer);
    const was = this.#view.transport;
    this.#peer.close();
    this.#meter.stop();
    this.#offerSent = false;
    this.#restarts = 0;
    this.#peer = this.#newPeer();
    this.#stream = null;
    this.#apply({ kind: "blank" });
    if (was === "connected") {
      this.#apply({ kind: "transport", transport: "interrupted" });
      this.emit("channels", false);
    }
  }

  #rebuildSoon(): void {
    this.#rebuild();
    this.#later(1000, () => this.#ready());
  }

  #newPeer(): Peer {
    const peer: Peer = new Peer({
      candidate: (c) => this.#candidate(c),
      transport: (t) => this.#transport(t),
      stream: (s) => {
        this.#stream = s;
        this.emit("stream", s);
      },
      control: (data) => this.#fromControl(data),
      pointer: (data) => this.#frame(data),
      clipboard: (data) => this.#fromClipboard(data),
    });
    return peer;
  }

  #candidate(c: RTCIceCandidate): void {
    const { sessionId, peer } = this.#view;
    if (sessionId === null || peer === null) return;
    this.#socket.send("peer.candidate", {
      session: sessionId,
      peer,
      candidate: c.candidate,
      sdp_mid: c.sdpMid ?? "",
      sdp_m_line_index: c.sdpMLineIndex ?? 0,
      ...(c.usernameFragment ? { username_fragment: c.usernameFragment } : {}),
    });
  }

  #fromControl(data: string | ArrayBuffer): void {
    if (typeof data !== "string") {
      this.#frame(data);
      return;
    }
    let m: HelperMessage | null;
    try {
      m = decodeHelper(data);
    } catch {
      return; // a device's broken message changes nothing
    }
    if (m !== null) this.#fromHelper(m);
  }

  #fromHelper(m: HelperMessage): void {
    switch (m.type) {
      case "status":
        this.#apply({ kind: "status", body: m.body });
        break;
      case "monitors":
        this.#apply({ kind: "monitors", monitors: m.body.monitors ?? [], selected: m.body.selected });
        break;
      case "picture":
        this.#apply({ kind: "picture", body: m.body });
        break;
      case "control.asked":
        this.#apply({ kind: "asked", viewer: m.body });
        break;
      case "say":
        this.#apply({ kind: "notice", code: m.body.code, message: m.body.message });
        break;
      case "ping":
        this.send("pong", { t: m.body.t });
        break;
      case "pong":
        this.#meter.pong(m.body.t);
        break;
    }
  }

  #frame(data: ArrayBuffer): void {
    let f: AgentFrame;
    try {
      f = decodeAgentFrame(data);
    } catch {
      return;
    }
    if (f.type === "timing") this.latency.timing(f);
    else this.emit("agent", f);
  }

  #fromClipboard(data: ArrayBuffer): void {
    const e = this.#clipboard.receive(data);
    if (e.kind === "text") this.emit("clipboard", e.text);
    else if (e.kind === "refused")
      this.notice("not_granted", `The device did not take the clipboard: ${e.reason}`);
  }

  #refuse(code: Code, message: string): void {
    if (this.#isOver()) return;
    this.#apply({ kind: "refused", code, message });
    this.#shut();
    if (code === "ended") this.#awaitReason();
  }

  /** Takes the gateway's word how the session ended, which may come after the device's. */
  #awaitReason(): void {
    const off = this.#socket.on("message", (m) => {
      if (m.type !== "session.state" || m.body.session !== this.#view.sessionId) return;
      if (!isFinal(m.body.state)) return;
      off();
      this.#apply({ kind: "state", body: m.body });
    });
  }

  #isOver(): boolean {
    return this.#left || phaseOf(this.#view) === "over";
  }

  #shut(): void {
    clearTimeout(this.#timer);
    this.#stop.abort();
    this.#release();
    this.#meter.stop();
    this.#peer.close();
    const was = this.#view.transport;
    this.#apply({ kind: "transport", transport: "none" });
    if (was === "connected") this.emit("channels", false);
  }

  #apply(e: SessionEvent): void {
    const now = next(this.#view, e);
    if (now === this.#view) return;
    this.#view = now;
    this.emit("view", now);
  }

  /** One thing is waited for at a time; the newest wish counts. */
  #later(ms: number, then: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      if (!this.#isOver()) then();
    }, ms);
  }

  #quietly(p: Promise<unknown>): void {
    p.catch((cause: unknown) => {
      if (!(cause instanceof PeerClosed)) this.#rebuildSoon();
    });
  }
}

function codeOf(cause: unknown): Code {
  const code = (cause as { code?: unknown } | null)?.code;
  return typeof code === "string" ? (code as Code) : "internal";
}
