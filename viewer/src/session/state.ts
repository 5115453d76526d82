/**
 * What a viewer knows of its session, and how each thing that happens changes it. Pure: no
 * clock, no socket; src/browser feeds it and everybody else reads the result.
 */
import type {
  Capability,
  Code,
  Monitor,
  Picture,
  SessionJoined,
  State,
  SessionState as StateMessage,
  Status,
  Viewer,
} from "./wire.gen.ts";

/** How the peer connection stands. */
export type Transport = "none" | "connecting" | "connected" | "interrupted";

/** Qualities of the picture, as picture.tier names them. */
export const tiers = ["auto", "sharp", "fast", "saver"] as const;
export type Tier = (typeof tiers)[number];

/** A sentence for the operator. `serial` tells two equal sentences apart. */
export interface Notice {
  readonly serial: number;
  readonly code: Code | "";
  readonly message: string;
}

/** Everything a viewer shows of its session. Values are never changed in place. */
export interface SessionView {
  readonly sessionId: string | null;
  readonly peer: string | null;
  readonly deviceName: string;
  /** Where the session stands for the gateway; null until joined. */
  readonly state: State | null;
  /** What the operator may use in this session if it is granted. */
  readonly capabilities: readonly Capability[];
  readonly granted: readonly Capability[];
  /** What this viewer may do now. */
  readonly may: readonly Capability[];
  readonly viewers: readonly Viewer[];
  /** The peer that holds control; "" is nobody. */
  readonly control: string;
  /** Whether this viewer waits for the holder to hand control over. */
  readonly asking: boolean;
  /** Who waits for this viewer to hand control over. */
  readonly askedBy: readonly Viewer[];
  readonly paused: boolean;
  /** The quality this viewer asks for. */
  readonly tier: Tier;
  readonly picture: Picture | null;
  readonly monitors: readonly Monitor[];
  /** The monitor this viewer looks at; 0 is the whole desktop. */
  readonly selected: number;
  readonly transport: Transport;
  /** Whether the connection has been up before, so that a gap is a reconnect. */
  readonly wasConnected: boolean;
  /** Whether a picture has been shown. */
  readonly hasPicture: boolean;
  /** Whether one has been shown before, over a connection that is gone. */
  readonly hadPicture: boolean;
  /** Whether this page talks to the gateway. A picture goes on without. */
  readonly gateway: boolean;
  /** Whether the device talks to the gateway. */
  readonly online: boolean;
  /** While waiting for consent: when silence becomes a refusal, Unix microseconds; 0 unknown. */
  readonly deadlineUs: number;
  /** Why the session ended or could not begin, in words of the one who knows. */
  readonly message: string;
  readonly endedBy: string;
  /** Why this viewer was turned away; null while it was not. */
  readonly refusal: Code | null;
  readonly notice: Notice | null;
}

/** The view before anything is known. */
export function initialView(deviceName = ""): SessionView {
  return {
    sessionId: null,
    peer: null,
    deviceName,
    state: null,
    capabilities: [],
    granted: [],
    may: [],
    viewers: [],
    control: "",
    asking: false,
    askedBy: [],
    paused: false,
    tier: "auto",
    picture: null,
    monitors: [],
    selected: 0,
    transport: "none",
    wasConnected: false,
    hasPicture: false,
    hadPicture: false,
    gateway: false,
    online: true,
    deadlineUs: 0,
    message: "",
    endedBy: "",
    refusal: null,
    notice: null,
  };
}

/** Something that happened. */
export type SessionEvent =
  | { readonly kind: "created"; readonly sessionId: string }
  | { readonly kind: "gateway"; readonly connected: boolean }
  | { readonly kind: "joined"; readonly body: SessionJoined }
  | { readonly kind: "state"; readonly body: StateMessage }
  | { readonly kind: "status"; readonly body: Status }
  | { readonly kind: "monitors"; readonly monitors: readonly Monitor[]; readonly selected: number }
  | { readonly kind: "picture"; readonly body: Picture }
  | { readonly kind: "tier"; readonly tier: Tier }
  | { readonly kind: "asked"; readonly viewer: Viewer }
  | { readonly kind: "asking"; readonly asking: boolean }
  | { readonly kind: "answered"; readonly peer: string }
  | { readonly kind: "transport"; readonly transport: Transport }
  | { readonly kind: "shown" }
  /** A fresh connection takes over and has brought no picture yet. */
  | { readonly kind: "blank" }
  | { readonly kind: "notice"; readonly code: Code | ""; readonly message: string }
  | { readonly kind: "refused"; readonly code: Code; readonly message: string };

/** Returns the view after an event. */
export function next(v: SessionView, e: SessionEvent): SessionView {
  switch (e.kind) {
    case "created":
      return { ...v, sessionId: e.sessionId };
    case "gateway":
      return { ...v, gateway: e.connected };
    case "joined":
      return {
        ...v,
        peer: e.body.peer,
        state: furthest(v.state, e.body.state),
        capabilities: e.body.capabilities,
        deviceName: e.body.device_name === "" ? v.deviceName : e.body.device_name,
      };
    case "state":
      return stated(v, e.body);
    case "status":
      return statused(v, e.body);
    case "monitors":
      return { ...v, monitors: e.monitors, selected: e.selected };
    case "picture":
      return { ...v, picture: e.body };
    case "tier":
      return { ...v, tier: e.tier };
    case "asked":
      return { ...v, askedBy: [...v.askedBy.filter((a) => a.peer !== e.viewer.peer), e.viewer].slice(-8) };
    case "asking":
      return { ...v, asking: e.asking };
    case "answered":
      return { ...v, askedBy: v.askedBy.filter((a) => a.peer !== e.peer) };
    case "transport":
      return {
        ...v,
        transport: e.transport,
        wasConnected: v.wasConnected || e.transport === "connected",
        ...(e.transport === "connected" ? {} : { asking: false, askedBy: [] }),
      };
    case "shown":
      return v.hasPicture ? v : { ...v, hasPicture: true };
    case "blank":
      return { ...v, hasPicture: false, hadPicture: v.hadPicture || v.hasPicture };
    case "notice":
      return { ...v, notice: { serial: (v.notice?.serial ?? 0) + 1, code: e.code, message: e.message } };
    case "refused":
      return { ...v, refusal: e.code, message: e.message };
  }
}

/** Whether a session in this state can never change again. */
export function isFinal(s: State | null): boolean {
  return s === "ended" || s === "declined" || s === "expired" || s === "failed";
}

/** A late answer must not bring an ended session back. */
function furthest(old: State | null, now: State): State {
  return old !== null && isFinal(old) ? old : now;
}

function stated(v: SessionView, s: StateMessage): SessionView {
  const state = furthest(v.state, s.state);
  return {
    ...v,
    state,
    granted: s.granted,
    online: s.online,
    // The device says that it is over, the gateway how and why: the latter says more.
    refusal: v.refusal === "ended" && isFinal(state) ? null : v.refusal,
    message: s.message || (isFinal(state) ? v.message : ""),
    endedBy: s.ended_by ?? "",
    deadlineUs: s.deadline_us ?? 0,
  };
}

function statused(v: SessionView, s: Status): SessionView {
  const viewers = s.viewers ?? [];
  return {
    ...v,
    peer: s.you === "" ? v.peer : s.you,
    granted: s.granted,
    may: s.may,
    paused: s.paused,
    control: s.control,
    viewers,
    asking: v.asking && s.control !== s.you && s.control !== "",
    askedBy: s.control === s.you ? v.askedBy.filter((a) => viewers.some((w) => w.peer === a.peer)) : [],
  };
}

/** What stands between the operator and the picture. */
export type Phase =
  /** The session is being made, or joined. */
  | "joining"
  /** The person at the device is being asked. */
  | "waiting"
  /** Allowed; the connection is coming up, or the first picture is. */
  | "connecting"
  | "live"
  /** The connection was up and is not now; the session goes on. */
  | "reconnecting"
  /** Over, for every reason; `state` and `refusal` say which. */
  | "over";

/** Returns the phase a view is in. */
export function phaseOf(v: SessionView): Phase {
  if (v.refusal !== null || isFinal(v.state)) return "over";
  if (v.transport === "connected") {
    if (v.hasPicture || hasNothingToShow(v)) return "live";
    return v.hadPicture ? "reconnecting" : "connecting";
  }
  if (v.wasConnected) return "reconnecting";
  if (v.state === null) return "joining";
  return v.state === "requested" ? "waiting" : "connecting";
}

/** Whether no picture is to be expected although the connection is up. */
function hasNothingToShow(v: SessionView): boolean {
  return v.paused || isWithoutPicture(v) || (v.picture !== null && v.picture.state !== "ok");
}

/** Whether the session is for tools alone: the screen was not asked for, or not granted. */
export function isWithoutPicture(v: SessionView): boolean {
  return v.granted.length > 0 && !v.granted.includes("view");
}

/** Whether this viewer holds control, or held it when the connection was lost. */
export function holdsControl(v: SessionView): boolean {
  return v.peer !== null && v.control === v.peer && v.may.includes("control");
}

/** Whether this viewer holds control and may use it. */
export function isInControl(v: SessionView): boolean {
  return v.transport === "connected" && holdsControl(v);
}

/** Whether clipboard texts may pass, either way. */
export function mayClipboard(v: SessionView): boolean {
  return v.transport === "connected" && v.may.includes("clipboard");
}
