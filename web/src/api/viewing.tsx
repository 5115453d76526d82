import type { Session } from "@handrail/viewer/browser/session";
import { createContext, type ReactNode, use, useMemo, useRef } from "react";
import { ApiError } from "./client.ts";
import { useLive } from "./live.tsx";
import { requestSession } from "./sessions.ts";
import type { SessionWish } from "./types.ts";

/** A session begun at a click, on its way to the page that shows it. */
export interface Begun {
  session: Session;
  deviceName: string;
}

interface Viewing {
  /** Fetches the code that a session needs, so that it is here before the click. */
  prepare: () => void;
  /**
   * Asks for a session and, at the same time, makes the viewer's offer. Resolves with the
   * session's id; the page that shows it takes the rest with `take`.
   */
  start: (wish: SessionWish, deviceName: string) => Promise<string>;
  /** Goes back into a session that is open, in the same way. */
  rejoin: (sessionId: string, deviceName: string) => Promise<string>;
  /** What `start` or `rejoin` began for this id, if it was this page that began it. */
  take: (sessionId: string) => Begun | undefined;
}

const ViewingContext = createContext<Viewing | null>(null);

/** How to begin a session and how to find it again. */
export function useViewing(): Viewing {
  const viewing = use(ViewingContext);
  if (!viewing) throw new Error("no <ViewingProvider> above");
  return viewing;
}

const notConnected = "Not connected to the gateway yet. Try again in a moment.";
const loadStart = () => import("@handrail/viewer/browser/start");

/** Carries a session from the button that begins it to the page that shows it. */
export function ViewingProvider({ children }: { children: ReactNode }) {
  const { socket } = useLive();
  const begun = useRef(new Map<string, Begun>());
  const viewing = useMemo<Viewing>(() => {
    const begin = async (create: () => Promise<string>, deviceName: string) => {
      if (!socket) throw new ApiError({ status: 0, message: notConnected });
      const { startSession } = await loadStart();
      const { session, id } = startSession({ socket, deviceName, create });
      try {
        const sessionId = await id;
        begun.current.set(sessionId, { session, deviceName });
        return sessionId;
      } catch (error) {
        session.leave();
        throw error;
      }
    };
    return {
      prepare: () => void loadStart().catch(() => undefined), // the click tries again
      start: (wish, deviceName) => begin(async () => (await requestSession(wish)).id, deviceName),
      rejoin: (sessionId, deviceName) => begin(async () => sessionId, deviceName),
      take: (sessionId) => {
        const found = begun.current.get(sessionId);
        begun.current.delete(sessionId); // a second visit joins anew
        return found;
      },
    };
  }, [socket]);
  return <ViewingContext value={viewing}>{children}</ViewingContext>;
}
