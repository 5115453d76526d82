/** A tool's channel for as long as a component shows the tool, opened again whenever it can be. */
import { useCallback, useEffect, useEffectEvent, useState } from "react";
import type { Session } from "../browser/session.ts";
import type { SessionView } from "../session/state.ts";
import type { ToolChannel, ToolEnd } from "../session/toolchannel.ts";
import type { Capability } from "../session/wire.gen.ts";

/** How a tool's channel stands. */
export type ToolState =
  /** There is no connection, or the right is missing: it opens by itself when that changes. */
  | { readonly kind: "waiting" }
  | { readonly kind: "opening" }
  | { readonly kind: "open" }
  /** The device ended it and said why. It opens again when the person asks, or the right comes back. */
  | { readonly kind: "ended"; readonly end: ToolEnd };

/** What useTool is given. Handlers may change at every drawing. */
export interface ToolUse {
  readonly session: Session;
  readonly view: SessionView;
  /** The tool's name on the wire. */
  readonly name: string;
  readonly needs: Capability;
  /** Whether the channel is wanted now; true when left out. */
  readonly wanted?: boolean;
  /** The channel is open, for the first time or again: say what is wanted of it. */
  readonly opened: (c: ToolChannel) => void;
  readonly message: (m: string | ArrayBuffer, c: ToolChannel) => void;
}

/** What it gives. */
export interface UsedTool {
  readonly state: ToolState;
  /** The open channel; null while there is none. */
  readonly channel: ToolChannel | null;
  /** Opens it again after the device has ended it. */
  readonly again: () => void;
}

/** A channel that closes without a word while the connection stands is opened again after this long. */
const againMs = 1000;

/** See the file's comment. */
export function useTool(use: ToolUse): UsedTool {
  const { session, view, name, needs } = use;
  const ready = view.transport === "connected" && view.may.includes(needs) && use.wanted !== false;
  const [attempt, setAttempt] = useState(0);
  const [state, setState] = useState<ToolState>({ kind: "waiting" });
  const [channel, setChannel] = useState<ToolChannel | null>(null);
  const opened = useEffectEvent((c: ToolChannel) => use.opened(c));
  const message = useEffectEvent((m: string | ArrayBuffer, c: ToolChannel) => use.message(m, c));

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt is a new channel
  useEffect(() => {
    if (!ready) return;
    const c = session.openTool(name);
    if (c === null) return;
    let timer: number | undefined;
    setState({ kind: "opening" });
    c.on("open", () => {
      setState({ kind: "open" });
      setChannel(c);
      opened(c);
    });
    c.on("message", (m) => message(m, c));
    c.on("close", (end) => {
      setChannel(null);
      setState(end.code === "" ? { kind: "waiting" } : { kind: "ended", end });
      if (end.code === "") timer = window.setTimeout(() => setAttempt((n) => n + 1), againMs);
    });
    return () => {
      clearTimeout(timer);
      c.close();
      setChannel(null);
      setState((s) => (s.kind === "ended" ? s : { kind: "waiting" }));
    };
  }, [session, name, ready, attempt]);

  const again = useCallback(() => setAttempt((n) => n + 1), []);
  return { state, channel, again };
}
