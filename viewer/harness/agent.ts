/** A device inside the page: answers offers, shows a drawing, and keeps every frame it is sent. */
import { ClipboardReceiver, splitClipboard } from "../src/session/clip.ts";
import { frameType } from "../src/session/keys.gen.ts";
import { type Bodies, channelTool, type MessageType } from "../src/session/wire.gen.ts";
import type { FakeGateway } from "./gateway.ts";

/** A frame of the viewer as far as the tests ask. */
export interface GotFrame {
  readonly type: string;
  readonly seq: number;
  readonly channel: string;
  readonly monitor?: number;
  readonly x?: number;
  readonly y?: number;
  readonly button?: number;
  readonly down?: boolean;
  readonly buttons?: number;
  readonly dx?: number;
  readonly dy?: number;
  readonly code?: number;
  readonly mods?: number;
  readonly text?: string;
  readonly locks?: number;
  readonly codes?: readonly number[];
}

const nameOfType = new Map<number, string>(Object.entries(frameType).map(([name, n]) => [n, name]));

/** The picture's size; odd on purpose. */
export const screenWidth = 1281;
export const screenHeight = 721;

/** Says something on a tool's channel. */
export type ToolSay = <T extends MessageType>(type: T, body: Bodies[T], re?: string) => void;

/** See the file's comment. */
export class FakeAgent {
  readonly frames: GotFrame[] = [];
  readonly said: { type: string; body: unknown }[] = [];
  readonly clipboards: string[] = [];
  /** Tools' channels that are open, and what serves them by name; a tool without one says that it is not here. */
  readonly tools: { readonly name: string; readonly channel: RTCDataChannel }[] = [];
  readonly serves: Record<string, (say: ToolSay, type: string, body: never, id: string) => void> = {};
  /** How many live figures were sent. */
  figures = 0;
  offers = 0;
  restarts = 0;
  status: Bodies["status"] = {
    you: "",
    granted: ["view", "control", "clipboard"],
    may: ["view", "control", "clipboard"],
    paused: false,
    control: "",
    viewers: [],
  };
  picture: Bodies["picture"] = { state: "ok", codec: "vp8", width: screenWidth, height: screenHeight };
  readonly #gateway: FakeGateway;
  readonly #canvas = document.createElement("canvas");
  readonly #stream: MediaStream;
  readonly #channels = new Map<string, RTCDataChannel>();
  readonly #clipboard = new ClipboardReceiver();
  #pc: RTCPeerConnection | null = null;
  #seq = 0;
  #peer = "";
  #early: RTCIceCandidateInit[] = [];

  constructor(gateway: FakeGateway) {
    this.#gateway = gateway;
    this.#canvas.width = screenWidth;
    this.#canvas.height = screenHeight;
    this.draw("");
    this.#stream = this.#canvas.captureStream(30);
    // A canvas that does not change sends nothing; a device's first picture comes all the same.
    let tick = 0;
    setInterval(() => this.draw(String(tick++ % 10)), 200);
  }

  /** Draws a desktop with a word on it. */
  draw(word: string): void {
    const g = this.#canvas.getContext("2d");
    if (g === null) return;
    g.fillStyle = "#1d4f63";
    g.fillRect(0, 0, screenWidth, screenHeight);
    g.fillStyle = "#f5f2ea";
    g.fillRect(120, 90, 640, 420);
    g.fillStyle = "#c9c2b2";
    g.fillRect(120, 90, 640, 32);
    g.fillStyle = "#222";
    g.font = "20px monospace";
    for (let i = 0; i < 14; i++)
      g.fillText(`$ line ${i} of a terminal, so that there is text`, 140, 160 + i * 24);
    g.fillText(word, 700, 115);
    g.strokeStyle = "#ffcc00";
    g.strokeRect(0.5, 0.5, screenWidth - 1, screenHeight - 1);
  }

  async offer(o: Bodies["peer.offer"]): Promise<void> {
    this.offers++;
    if (o.ice_restart === true) {
      this.restarts++;
      if (this.#pc === null) {
        this.#gateway.tell("peer.close", { session: o.session, peer: o.peer, code: "not_found" });
        return;
      }
    } else {
      this.#pc?.close();
      this.#pc = this.#connect(o);
    }
    this.#peer = o.peer;
    const pc = this.#pc;
    await pc.setRemoteDescription({ type: "offer", sdp: o.sdp });
    const answer = await pc.createAnswer();
    await pc.setLocalDescription(answer);
    this.#gateway.tell("peer.answer", { session: o.session, peer: o.peer, sdp: answer.sdp ?? "" });
    for (const c of this.#early) await pc.addIceCandidate(c);
    this.#early = [];
  }

  async candidate(c: Bodies["peer.candidate"]): Promise<void> {
    const init = { candidate: c.candidate, sdpMid: c.sdp_mid, sdpMLineIndex: c.sdp_m_line_index };
    if (this.#pc?.remoteDescription) await this.#pc.addIceCandidate(init).catch(() => undefined);
    else this.#early.push(init);
  }

  /** Forgets its peer, as a restarted agent does. */
  restart(): void {
    this.#pc?.close();
    this.#pc = null;
    this.#channels.clear();
    this.tools.length = 0;
  }

  /** Says something over the control channel. */
  say<T extends MessageType>(type: T, body: Bodies[T]): void {
    this.#channels.get("control")?.send(JSON.stringify({ v: 1, type, body }));
  }

  /** Changes the viewer's rights and tells them. */
  grant(change: Partial<Bodies["status"]>): void {
    this.status = { ...this.status, ...change, you: this.#peer };
    this.say("status", this.status);
  }

  /** Sends a cursor of two colours, and uses it. */
  async cursor(): Promise<void> {
    const c = document.createElement("canvas");
    c.width = 24;
    c.height = 24;
    const g = c.getContext("2d");
    if (g === null) return;
    g.fillStyle = "#000";
    g.beginPath();
    g.moveTo(0, 0);
    g.lineTo(16, 12);
    g.lineTo(6, 20);
    g.fill();
    const png = new Uint8Array(
      await (await new Promise<Blob>((done) => c.toBlob((b) => b && done(b)))).arrayBuffer(),
    );
    const shape = new DataView(new ArrayBuffer(21 + png.length));
    shape.setUint8(0, frameType.cursor_shape);
    shape.setUint32(1, ++this.#seq);
    shape.setBigUint64(5, 77n);
    shape.setUint16(17, 24);
    shape.setUint16(19, 24);
    new Uint8Array(shape.buffer).set(png, 21);
    this.#channels.get("control")?.send(shape.buffer);
    const use = new DataView(new ArrayBuffer(14));
    use.setUint8(0, frameType.cursor_use);
    use.setUint32(1, ++this.#seq);
    use.setBigUint64(5, 77n);
    use.setUint8(13, 1);
    this.#channels.get("control")?.send(use.buffer);
  }

  /** Says where the pointer is. */
  cursorAt(x: number, y: number): void {
    const at = new DataView(new ArrayBuffer(10));
    at.setUint8(0, frameType.cursor_at);
    at.setUint32(1, ++this.#seq);
    at.setUint8(5, 1);
    at.setUint16(6, x);
    at.setUint16(8, y);
    const pointer = this.#channels.get("pointer");
    if (pointer?.readyState === "open") pointer.send(at.buffer);
  }

  /** Sends a clipboard text. */
  copy(text: string): void {
    for (const f of splitClipboard(1, text) ?? []) this.#channels.get("clipboard")?.send(f);
  }

  #connect(o: Bodies["peer.offer"]): RTCPeerConnection {
    const pc = new RTCPeerConnection();
    for (const track of this.#stream.getTracks()) pc.addTrack(track, this.#stream);
    pc.onicecandidate = (e) => {
      if (e.candidate === null) return;
      this.#gateway.tell("peer.candidate", {
        session: o.session,
        peer: o.peer,
        candidate: e.candidate.candidate,
        sdp_mid: e.candidate.sdpMid ?? "",
        sdp_m_line_index: e.candidate.sdpMLineIndex ?? 0,
      });
    };
    pc.ondatachannel = (e) => {
      const c = e.channel;
      c.binaryType = "arraybuffer";
      if (c.label.startsWith(channelTool)) {
        this.#serve(c, c.label.slice(channelTool.length));
        return;
      }
      this.#channels.set(c.label, c);
      c.onmessage = (m: MessageEvent<string | ArrayBuffer>) => this.#take(c.label, m.data);
      c.onopen = () => {
        if (c.label === "control") this.#greet();
      };
    };
    return pc;
  }

  /** Ends every channel of a tool, and says why. */
  endTool(name: string, code: Bodies["say"]["code"], message: string): void {
    for (const t of this.tools.filter((x) => x.name === name)) {
      t.channel.send(JSON.stringify({ v: 1, type: "say", body: { code, message, what: name } }));
      t.channel.close();
    }
  }

  #serve(channel: RTCDataChannel, name: string): void {
    const tool = { name, channel };
    this.tools.push(tool);
    channel.onclose = () => {
      this.tools.splice(this.tools.indexOf(tool), 1);
    };
    const say: ToolSay = (type, body, re) => {
      if (channel.readyState !== "open") return;
      channel.send(JSON.stringify({ v: 1, type, body, ...(re === undefined ? {} : { re }) }));
    };
    channel.onmessage = (m: MessageEvent<string>) => {
      const e = JSON.parse(m.data) as { type: string; body: never; id?: string };
      this.said.push(e);
      this.serves[name]?.(say, e.type, e.body, e.id ?? "");
    };
    channel.onopen = () => {
      if (this.serves[name] === undefined)
        this.endTool(name, "not_found", "This device does not have that tool.");
    };
  }

  #greet(): void {
    this.say("monitors", {
      monitors: [
        { id: 1, name: "Left", x: 0, y: 0, width: screenWidth, height: screenHeight, primary: true },
        { id: 2, name: "Right", x: screenWidth, y: -100, width: 1024, height: 768, primary: false },
      ],
      selected: 1,
    });
    this.say("picture", this.picture);
    const viewers = [
      { peer: this.#peer, name: "Ada Admin" },
      { peer: "peer_other", name: "Theo Technician" },
    ];
    const control = this.status.control === "peer_other" ? "peer_other" : this.#heldBefore();
    this.grant({ viewers, control });
    void this.cursor();
    this.cursorAt(20_000, 20_000);
  }

  #heldBefore(): string {
    return this.status.control === this.#peer ? this.#peer : "";
  }

  #take(channel: string, data: string | ArrayBuffer): void {
    if (typeof data === "string") {
      const m = JSON.parse(data) as { type: string; body: Record<string, unknown> };
      this.said.push(m);
      if (m.type === "ping") this.say("pong", { t: m.body.t as number });
      if (m.type === "control.ask" && this.status.control === "") this.grant({ control: this.#peer });
      if (m.type === "control.drop") this.grant({ control: "" });
      if (m.type === "monitor.select") {
        this.say("monitors", { monitors: [], selected: m.body.monitor as number });
      }
    } else if (channel === "clipboard") {
      const e = this.#clipboard.receive(data);
      if (e.kind === "text") this.clipboards.push(e.text);
    } else this.frames.push(read(channel, data));
  }
}

/** Reads a frame of the viewer; only the tests do, so it trusts it. */
function read(channel: string, data: ArrayBuffer): GotFrame {
  const v = new DataView(data);
  const type = nameOfType.get(v.getUint8(0)) ?? "unknown";
  const head = { type, seq: v.getUint32(1), channel };
  const text = (from: number, n: number) => new TextDecoder().decode(new Uint8Array(data, from, n));
  switch (type) {
    case "move":
      return {
        ...head,
        monitor: v.getUint8(5),
        buttons: v.getUint8(6),
        x: v.getUint16(7),
        y: v.getUint16(9),
      };
    case "key_down":
      return { ...head, code: v.getUint16(5), mods: v.getUint8(7), text: text(9, v.getUint8(8)) };
    case "key_up":
      return { ...head, code: v.getUint16(5), mods: v.getUint8(7) };
    case "button":
      return {
        ...head,
        monitor: v.getUint8(5),
        button: v.getUint8(6),
        down: v.getUint8(7) === 1,
        buttons: v.getUint8(8),
        x: v.getUint16(9),
        y: v.getUint16(11),
      };
    case "wheel":
      return { ...head, x: v.getUint16(7), y: v.getUint16(9), dx: v.getInt16(11), dy: v.getInt16(13) };
    case "text":
      return { ...head, text: text(7, v.getUint16(5)) };
    case "held":
      return {
        ...head,
        buttons: v.getUint8(5),
        codes: Array.from({ length: v.getUint8(6) }, (_, i) => v.getUint16(7 + 2 * i)),
      };
    case "set_locks":
      return { ...head, locks: v.getUint8(5) };
    default:
      return head;
  }
}
