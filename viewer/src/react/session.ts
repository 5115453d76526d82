/** A Session for as long as a component shows it. */
import { useEffect, useState, useSyncExternalStore } from "react";
import { Session } from "../browser/session.ts";
import type { GatewaySocket } from "../browser/socket.ts";
import type { SessionView } from "../session/state.ts";

interface Wanted {
  readonly socket: GatewaySocket;
  readonly sessionId: string;
  readonly deviceName: string;
  readonly preconnected?: Session | undefined;
}

/** Sessions whose component is gone, and when they will be left. */
const leaving = new WeakMap<Session, number>();

/**
 * Returns the session to show: the one begun at the click, or one that joins now. It is left when
 * the component goes; not when React only takes it off and on again, as it does in development.
 */
export function useSession({ socket, sessionId, deviceName, preconnected }: Wanted): Session {
  const [session, setSession] = useState(
    () => preconnected ?? new Session({ socket, session: sessionId, deviceName }),
  );
  const [shown, setShown] = useState({ socket, sessionId, preconnected });
  if (shown.socket !== socket || shown.sessionId !== sessionId || shown.preconnected !== preconnected) {
    setShown({ socket, sessionId, preconnected });
    setSession(preconnected ?? new Session({ socket, session: sessionId, deviceName }));
  }
  useEffect(() => {
    clearTimeout(leaving.get(session));
    return () => {
      leaving.set(
        session,
        window.setTimeout(() => session.leave(), 0),
      );
    };
  }, [session]);
  return session;
}

/** Returns the session's view, again at every change. */
export function useView(session: Session): SessionView {
  return useSyncExternalStore(session.subscribe, () => session.view);
}
