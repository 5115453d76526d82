import { Viewer } from "@handrail/viewer/react/Viewer";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useRouter } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { isNotFound } from "../../api/client.ts";
import { useLive } from "../../api/live.tsx";
import { useMe } from "../../api/me.ts";
import { askCapabilities, sessionQuery, useEndSession } from "../../api/sessions.ts";
import type { Capability } from "../../api/types.ts";
import { useViewing } from "../../api/viewing.tsx";
import { ButtonLink } from "../../ui/links.tsx";
import { notifyFailed } from "../../ui/notify.ts";
import { may } from "../../ui/permissions.ts";
import { Empty } from "../../ui/states.tsx";

interface LivePageProps {
  id: string;
  /** The tool that stands beside the picture, as the address has it. */
  tool?: string | undefined;
  onTool?: ((id: string | null) => void) | undefined;
}

/** A live session: the device's screen, and the tools beside it. */
export function LivePage({ id, tool, onTool }: LivePageProps) {
  const me = useMe();
  const router = useRouter();
  const navigate = useNavigate();
  const { socket } = useLive();
  const viewing = useViewing();
  const [begun] = useState(() => viewing.take(id));
  const query = useQuery(sessionQuery(id));
  const end = useEndSession(id);
  const session = query.data;
  const deviceName = session?.device_name ?? begun?.deviceName ?? "";

  useEffect(() => {
    document.title = `${deviceName || "Session"} · Handrail`;
  }, [deviceName]);

  if (isNotFound(query.error)) {
    return (
      <main style={{ minHeight: "100dvh", display: "grid", placeItems: "center" }}>
        <h1 className="visually-hidden">No such session</h1>
        <Empty title="This session is not here" action={<ButtonLink to="/sessions">All sessions</ButtonLink>}>
          The address may be mistyped, or its device is in a group that is not yours.
        </Empty>
      </main>
    );
  }

  const leave = () => {
    if (session) void navigate({ to: "/devices/$deviceId", params: { deviceId: session.device_id } });
    else if (router.history.canGoBack()) router.history.back();
    else void navigate({ to: "/devices" });
  };
  const again = () => {
    if (!session) return;
    const { device_id, reason } = session;
    const capabilities = session.asked as Capability[];
    viewing
      .start({ device_id, reason, capabilities }, session.device_name)
      .then((sessionId) =>
        navigate({ to: "/sessions/$sessionId/live", params: { sessionId }, search: { tool }, replace: true }),
      )
      .catch((error: unknown) => notifyFailed(`No session with ${session.device_name}`, error));
  };
  const endSession = async () => {
    try {
      await end.mutateAsync("");
    } catch (error) {
      notifyFailed("The session could not be ended", error);
    }
  };
  return (
    <main className="live-page">
      <h1 className="visually-hidden">{deviceName ? `Screen of ${deviceName}` : "Remote screen"}</h1>
      {socket && (
        <Viewer
          socket={socket}
          sessionId={id}
          deviceName={deviceName}
          operatorName={me.name}
          preconnected={begun?.session}
          onLeave={leave}
          onEnd={endSession}
          onAgain={session ? again : undefined}
          askCapabilities={
            may(me, "session.control") ? (wanted) => askCapabilities(id, [...wanted]) : undefined
          }
          withoutPicture={session && !session.asked.includes("view")}
          tool={tool}
          onTool={onTool}
          viewOnly={!may(me, "session.control")}
        />
      )}
    </main>
  );
}
