/** The remote screen with its toolbar, meter and overlays, filling its parent. */
import type { ReactNode } from "react";
import type { Session } from "../browser/session.ts";
import type { GatewaySocket } from "../browser/socket.ts";
import type { Capability } from "../session/wire.gen.ts";

/** What a <Viewer> is given. */
export interface ViewerProps {
  readonly socket: GatewaySocket;
  readonly sessionId: string;
  readonly deviceName: string;
  /** How this operator is called, to tell them apart from other viewers. */
  readonly operatorName: string;
  /** A session begun by `startSession` at the click; without it the viewer joins by itself. */
  readonly preconnected?: Session | undefined;
  /** Leave the picture; the session goes on. */
  readonly onLeave: () => void;
  /** End the session for everybody: POST /api/sessions/{id}/end. */
  readonly onEnd: () => Promise<void> | void;
  /** Connect anew after the session is over; no button without it. */
  readonly onAgain?: (() => void) | undefined;
  /** Ask the person at the device for more: POST /api/sessions/{id}/ask. */
  readonly askCapabilities?: ((wanted: readonly Capability[]) => Promise<void> | void) | undefined;
  /** Never sends input, whatever is granted. */
  readonly viewOnly?: boolean | undefined;
}

/** See the file's comment. */
export function Viewer(_props: ViewerProps): ReactNode {
  return null;
}
