import { GatewaySocket, SignedOut } from "@handrail/viewer/browser/socket";
import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, use, useEffect, useState } from "react";
import { meQuery, socketTicket } from "./account.ts";
import { isSignedOut } from "./client.ts";

/** How the console hears of changes. */
export interface Live {
  /** The page's one socket; null while nobody is signed in. */
  socket: GatewaySocket | null;
  connected: boolean;
  /** Set once the socket has been away for long enough to mention it. */
  lostSince: number | undefined;
}

const LiveContext = createContext<Live>({ socket: null, connected: false, lostSince: undefined });

/** The socket and whether it is connected. */
export function useLive(): Live {
  return use(LiveContext);
}

const topics = [
  "devices",
  "sessions",
  "operators",
  "groups",
  "tokens",
  "audit",
  "policies",
  "labels",
  "commands",
  "compliance",
] as const;
export type LiveTopic = (typeof topics)[number];

/** What to fetch again when something of a topic changed. */
const staleByTopic: Record<LiveTopic, string[]> = {
  devices: ["devices", "labels", "overview", "settings", "policies", "compliance"],
  sessions: ["sessions", "overview"],
  operators: ["operators", "me"],
  groups: ["groups", "devices"],
  tokens: ["tokens"],
  audit: ["audit"],
  policies: ["policies", "rollouts", "settings", "overview"],
  labels: ["labels", "devices"],
  commands: ["commands", "scripts"],
  compliance: ["compliance", "overview"],
};

const gatherMs = 120; // changes come in bursts: a hundred devices after a power cut
const mentionMs = 2500; // a shorter loss is not worth a word

/**
 * Gathers changes and has their queries fetched again together; what is not on screen is
 * only marked as old.
 */
export class Invalidator {
  readonly #client: QueryClient;
  readonly #keys = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(client: QueryClient) {
    this.#client = client;
  }

  changed(topic: string): void {
    for (const key of staleByTopic[topic as LiveTopic] ?? []) this.#keys.add(key);
    if (this.#keys.size > 0) this.#timer ??= setTimeout(() => this.#flush(), gatherMs);
  }

  /** After a gap anything may have changed. */
  everything(): void {
    for (const topic of topics) this.changed(topic);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#keys.clear();
  }

  #flush(): void {
    this.#timer = undefined;
    const keys = [...this.#keys];
    this.#keys.clear();
    for (const key of keys) void this.#client.invalidateQueries({ queryKey: [key] });
  }
}

/** Fetches a ticket in the words the socket understands. */
async function ticket(signal: AbortSignal): Promise<string> {
  try {
    return await socketTicket(signal);
  } catch (error) {
    if (isSignedOut(error)) throw new SignedOut("not signed in");
    throw error;
  }
}

/** Holds the page's one socket for as long as somebody is signed in. */
export function LiveUpdates({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const operatorId = useQuery({ ...meQuery, enabled: false }).data?.id;
  const [live, setLive] = useState<Live>({ socket: null, connected: false, lostSince: undefined });

  useEffect(() => {
    if (!operatorId) return;
    const socket = new GatewaySocket({ ticket });
    const invalidator = new Invalidator(client);
    let mention: ReturnType<typeof setTimeout> | undefined;
    let wasReady = false;
    const offs = [
      socket.on("ready", () => {
        socket.send("subscribe", { topics: [...topics] });
        if (wasReady) invalidator.everything();
        wasReady = true;
      }),
      socket.on("message", (m) => {
        if (m.type === "changed") invalidator.changed(m.body.topic);
      }),
      socket.on("state", (state) => {
        clearTimeout(mention);
        setLive({ socket, connected: state === "ready", lostSince: undefined });
        if (state === "closed") void client.invalidateQueries({ queryKey: meQuery.queryKey });
        if (state !== "waiting") return;
        const lostSince = Date.now();
        mention = setTimeout(() => setLive({ socket, connected: false, lostSince }), mentionMs);
      }),
    ];
    setLive({ socket, connected: false, lostSince: undefined });
    socket.connect();
    return () => {
      for (const off of offs) off();
      clearTimeout(mention);
      invalidator.stop();
      socket.close();
      setLive({ socket: null, connected: false, lostSince: undefined });
    };
  }, [operatorId, client]);

  return <LiveContext value={live}>{children}</LiveContext>;
}
