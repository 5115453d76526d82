/**
 * One RTCPeerConnection of a viewer: the three data channels, the incoming picture, offers and ICE
 * restarts. It knows no socket: what must be sent is handed out, what came is handed in.
 */
import { PipedTool, type ToolChannel } from "../session/toolchannel.ts";
import {
  channelClipboard,
  channelControl,
  channelPointer,
  channelTool,
  type ICEServer,
} from "../session/wire.gen.ts";

/**
 * How a peer connection stands. connected: media and the control channel flow; interrupted: they did;
 * failed: no path is left; gone: the other end has closed it, and no restart brings it back.
 */
export type PeerTransport = "connecting" | "connected" | "interrupted" | "failed" | "gone";

/** What a Peer tells. All are called from the browser's event loop. */
export interface PeerHandlers {
  /** A candidate for the agent, once its offer has gone out. */
  readonly candidate: (c: RTCIceCandidate) => void;
  readonly transport: (t: PeerTransport) => void;
  readonly stream: (s: MediaStream, receiver: RTCRtpReceiver) => void;
  readonly control: (data: string | ArrayBuffer) => void;
  readonly pointer: (data: ArrayBuffer) => void;
  readonly clipboard: (data: ArrayBuffer) => void;
}

/** A pointer position waits behind at most this many bytes; the next one is newer anyway. */
const mostPointerBacklog = 512;
/** A tool hears "low" when less than this waits to be sent. */
const toolLow = 256 << 10;

/** See the file's comment. The offer is prepared at once; nothing is gathered before `begin`. */
export class Peer {
  readonly #pc: RTCPeerConnection;
  readonly #on: PeerHandlers;
  readonly #control: RTCDataChannel;
  readonly #pointer: RTCDataChannel;
  readonly #clipboard: RTCDataChannel;
  readonly #tools = new Set<PipedTool>();
  readonly #prepared: Promise<RTCSessionDescriptionInit>;
  #chain: Promise<unknown> = Promise.resolve();
  #early: RTCIceCandidateInit[] = [];
  #begun = false;
  #offered = false;
  #closed = false;
  #last = "";

  constructor(on: PeerHandlers) {
    this.#on = on;
    this.#pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.#control = this.#pc.createDataChannel(channelControl);
    this.#pointer = this.#pc.createDataChannel(channelPointer, { ordered: false, maxRetransmits: 0 });
    this.#clipboard = this.#pc.createDataChannel(channelClipboard);
    for (const c of [this.#control, this.#pointer, this.#clipboard]) c.binaryType = "arraybuffer";
    this.#control.onmessage = (e: MessageEvent<string | ArrayBuffer>) => on.control(e.data);
    this.#pointer.onmessage = (e: MessageEvent<unknown>) => {
      if (e.data instanceof ArrayBuffer) on.pointer(e.data);
    };
    this.#clipboard.onmessage = (e: MessageEvent<unknown>) => {
      if (e.data instanceof ArrayBuffer) on.clipboard(e.data);
    };
    this.#control.onopen = () => this.#report();
    this.#control.onclose = () => this.#report();
    this.#pc.addTransceiver("video", { direction: "recvonly" });
    this.#pc.ontrack = (e) => {
      keepNothingBack(e.receiver);
      on.stream(new MediaStream([e.track]), e.receiver);
    };
    this.#pc.onconnectionstatechange = () => this.#report();
    this.#pc.oniceconnectionstatechange = () => this.#report();
    this.#pc.onicecandidate = (e) => {
      // Before the offer is out its SDP collects them.
      if (e.candidate !== null && e.candidate.candidate !== "" && this.#offered) on.candidate(e.candidate);
    };
    this.#prepared = this.#pc.createOffer();
    this.#prepared.catch(() => undefined); // begin reports it
  }

  /** Whether an offer of ours waits for its answer. */
  get awaitsAnswer(): boolean {
    return this.#pc.signalingState === "have-local-offer" && this.#offered;
  }

  /** Whether `begin` has been called. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Takes the servers and starts to gather, ahead of the offer if that must wait for consent. */
  begin(servers: readonly ICEServer[]): Promise<void> {
    this.#begun = true;
    return this.#inOrder(async () => {
      const offer = await this.#prepared;
      this.#configure(servers);
      await this.#pc.setLocalDescription(offer);
    });
  }

  /** Takes fresh servers for the next restart. */
  renew(servers: readonly ICEServer[]): Promise<void> {
    return this.#inOrder(async () => this.#configure(servers));
  }

  /** Returns the offer to send, with what is gathered so far; candidates go out from now on. */
  async offer(): Promise<string> {
    return this.#inOrder(async () => {
      this.#offered = true;
      return this.#pc.localDescription?.sdp ?? "";
    });
  }

  /** Returns an offer that replaces the transport and keeps everything else. */
  restart(): Promise<string> {
    return this.#inOrder(async () => {
      const offer = await this.#pc.createOffer({ iceRestart: true });
      this.#early = [];
      this.#offered = false;
      await this.#pc.setLocalDescription(offer);
      this.#offered = true;
      return this.#pc.localDescription?.sdp ?? "";
    });
  }

  /** Gives up an offer that nobody answered, once the old transport is back by itself. */
  rollback(): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#pc.signalingState === "have-local-offer" && this.#pc.currentRemoteDescription !== null) {
        await this.#pc.setLocalDescription({ type: "rollback" });
      }
    });
  }

  /** Applies the agent's answer. An answer nobody waits for is ignored. */
  answer(sdp: string): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#pc.signalingState !== "have-local-offer") return;
      await this.#pc.setRemoteDescription({ type: "answer", sdp });
      const early = this.#early;
      this.#early = [];
      for (const c of early) await this.#add(c);
    });
  }

  /** Takes a candidate of the agent, before or after its answer. */
  candidate(c: RTCIceCandidateInit): Promise<void> {
    return this.#inOrder(async () => {
      if (this.#pc.signalingState !== "stable" || this.#pc.remoteDescription === null) this.#early.push(c);
      else await this.#add(c);
    });
  }

  /** Sends a message or a frame on the control channel; false when it is not open. */
  sendControl(data: string | Uint8Array<ArrayBuffer>): boolean {
    return send(this.#control, data);
  }

  /** Sends a frame on the pointer channel; false when it is not open or too far behind. */
  sendPointer(data: Uint8Array<ArrayBuffer>): boolean {
    return this.#pointer.bufferedAmount <= mostPointerBacklog && send(this.#pointer, data);
  }

  /** Sends a frame on the clipboard channel; false when it is not open. */
  sendClipboard(data: Uint8Array<ArrayBuffer>): boolean {
    return send(this.#clipboard, data);
  }

  /** Opens a channel to a tool of the device. It lives no longer than this connection. */
  openTool(name: string): ToolChannel {
    const c = this.#pc.createDataChannel(`${channelTool}${name}`);
    c.binaryType = "arraybuffer";
    c.bufferedAmountLowThreshold = toolLow;
    const tool: PipedTool = new PipedTool(name, {
      isOpen: () => c.readyState === "open",
      send: (data) => send(c, data),
      buffered: () => c.bufferedAmount,
      close: () => c.close(),
    });
    this.#tools.add(tool);
    c.onopen = () => tool.opened();
    c.onmessage = (e: MessageEvent<string | ArrayBuffer>) => tool.received(e.data);
    c.onbufferedamountlow = () => tool.drained();
    c.onclose = () => {
      this.#tools.delete(tool);
      tool.ended();
    };
    return tool;
  }

  /** Figures of the connection. */
  stats(): Promise<RTCStatsReport> {
    return this.#pc.getStats();
  }

  /** Ends it. No handler is called afterwards; the tools' channels say that they are closed. */
  close(): void {
    this.#closed = true;
    for (const c of [this.#control, this.#pointer, this.#clipboard]) {
      c.onmessage = null;
      c.onopen = null;
      c.onclose = null;
    }
    this.#pc.ontrack = null;
    this.#pc.onconnectionstatechange = null;
    this.#pc.oniceconnectionstatechange = null;
    this.#pc.onicecandidate = null;
    this.#pc.close();
    const tools = [...this.#tools];
    this.#tools.clear();
    for (const tool of tools) tool.ended(); // browsers differ in whether they say it themselves
  }

  /** Descriptions and candidates are applied one after the other, in the order they were asked for. */
  #inOrder<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#chain.then(() => {
      if (this.#closed) throw new PeerClosed();
      return step();
    });
    this.#chain = done.catch(() => undefined);
    return done;
  }

  #configure(servers: readonly ICEServer[]): void {
    this.#pc.setConfiguration({
      bundlePolicy: "max-bundle",
      iceServers: servers.map((s) => ({
        urls: [...(s.urls ?? [])],
        ...(s.username === undefined ? {} : { username: s.username }),
        ...(s.credential === undefined ? {} : { credential: s.credential }),
      })),
    });
  }

  async #add(c: RTCIceCandidateInit): Promise<void> {
    try {
      await this.#pc.addIceCandidate(c);
    } catch {
      // A candidate of the generation before a restart; the new ones follow.
    }
  }

  #report(): void {
    const now = this.#transport();
    if (now === this.#last) return;
    this.#last = now;
    this.#on.transport(now);
  }

  #transport(): PeerTransport {
    const control = this.#control.readyState;
    if (control === "closing" || control === "closed") return "gone";
    if (this.#pc.connectionState === "failed" || this.#pc.iceConnectionState === "failed") return "failed";
    if (this.#pc.connectionState === "disconnected" || this.#pc.iceConnectionState === "disconnected") {
      return "interrupted";
    }
    return this.#pc.connectionState === "connected" && this.#control.readyState === "open"
      ? "connected"
      : "connecting";
  }
}

/** Rejects what was still to be done when a Peer was closed. */
export class PeerClosed extends Error {
  override name = "PeerClosed";
}

function send(c: RTCDataChannel, data: string | Uint8Array<ArrayBuffer>): boolean {
  if (c.readyState !== "open") return false;
  try {
    // The overloads of send do not take a union.
    if (typeof data === "string") c.send(data);
    else c.send(data);
    return true;
  } catch {
    return false; // its buffer is full, or it closed in this moment
  }
}

/** Asks the browser to show pictures as they come instead of smoothing them. */
function keepNothingBack(receiver: RTCRtpReceiver): void {
  const r = receiver as RTCRtpReceiver & { jitterBufferTarget?: number | null; playoutDelayHint?: number };
  try {
    r.jitterBufferTarget = 0;
    r.playoutDelayHint = 0;
  } catch {
    // Older browsers refuse one or the other; the playout-delay extension asks the same.
  }
}
