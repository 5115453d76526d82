import type { SupportSession } from "../api/types.ts";
import { PageLink } from "./links.tsx";
import { SessionMark } from "./marks.tsx";
import { Time } from "./Time.tsx";

interface SessionListProps {
  sessions: readonly SupportSession[];
  /** What each line begins with: the device, or who connected to it. */
  by: "device" | "operator";
}

/** A few sessions in short. */
export function SessionList({ sessions, by }: SessionListProps) {
  return (
    <ul className="plain-list">
      {sessions.map((s) => (
        <li key={s.id}>
          <PageLink
            to="/sessions/$sessionId"
            params={{ sessionId: s.id }}
            className="one-line"
            style={{ flex: 1 }}
          >
            {by === "device" ? s.device_name : s.operator_name}
            <span className="quiet">
              {by === "device" ? ` · ${s.operator_name}` : s.reason && ` · ${s.reason}`}
            </span>
          </PageLink>
          <SessionMark state={s.state} />
          <span className="quiet" style={{ minWidth: "7.2rem", textAlign: "right" }}>
            <Time at={s.requested_at} />
          </span>
        </li>
      ))}
    </ul>
  );
}
