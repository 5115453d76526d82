/** Begins a session at the click, before the code that shows it is loaded. */
import { Session } from "./session.ts";
import type { GatewaySocket } from "./socket.ts";

/** What `startSession` needs. */
export interface StartOptions {
  /** The page's socket; it is connected if it is not. */
  readonly socket: GatewaySocket;
  /** Asks the gateway for the session (POST /api/sessions) and resolves with its id. */
  readonly create: () => Promise<string>;
  readonly deviceName?: string;
}

/** A session under way. */
export interface Started {
  /** Hand it to <Viewer preconnected={…}>. */
  readonly session: Session;
  /** The session's id once the gateway has made it; rejects with what `create` rejected with. */
  readonly id: Promise<string>;
}

/** Makes the offer and asks for the session at the same time. */
export function startSession(options: StartOptions): Started {
  const id = options.create();
  const session = new Session({
    socket: options.socket,
    session: id,
    ...(options.deviceName === undefined ? {} : { deviceName: options.deviceName }),
  });
  return { session, id };
}
