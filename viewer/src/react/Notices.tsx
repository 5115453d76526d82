/** Short sentences and questions at the foot of the picture. */
import { type ReactNode, useEffect, useState } from "react";
import type { Session } from "../browser/session.ts";
import type { Desk } from "../desk/desk.ts";
import { isInControl, phaseOf, type SessionView } from "../session/state.ts";

interface NoticesProps {
  readonly session: Session;
  readonly desk: Desk | null;
  readonly view: SessionView;
  /** A clipboard text of the device that waits for a click. */
  readonly waiting: string | null;
}

/** How long a sentence stays. */
const noticeMs = 6000;

/** See the file's comment. */
export function Notices({ session, desk, view, waiting }: NoticesProps): ReactNode {
  const [shown, setShown] = useState(0);
  const { notice } = view;
  const serial = notice?.serial ?? 0;
  useEffect(() => {
    if (serial === 0) return;
    setShown(serial);
    const timer = setTimeout(() => setShown(0), noticeMs);
    return () => clearTimeout(timer);
  }, [serial]);

  const live = phaseOf(view) === "live";
  return (
    <div className="hv-notices">
      {live && !view.gateway && (
        <p className="hv-notice">The gateway cannot be reached. The session goes on; reconnecting.</p>
      )}
      {isInControl(view) &&
        view.askedBy.map((v) => (
          <div
            className="hv-notice"
            key={v.peer}
            role="alertdialog"
            aria-label={`${v.name} asks for control`}
          >
            <span>{v.name || "Another operator"} asks for control.</span>
            <button
              type="button"
              className="hv-button hv-strong"
              onClick={() => session.answerControl(v.peer, true)}
            >
              Hand over
            </button>
            <button type="button" className="hv-button" onClick={() => session.answerControl(v.peer, false)}>
              Not now
            </button>
          </div>
        ))}
      {waiting !== null && (
        <div className="hv-notice">
          <span>The device's clipboard has changed.</span>
          <button
            type="button"
            className="hv-button hv-strong"
            onClick={() => {
              desk?.clipboard
                .take(waiting)
                .catch(() => session.notice("", "The browser does not let this page write the clipboard."));
            }}
          >
            Copy it here
          </button>
        </div>
      )}
      <div role="status" aria-live="polite">
        {notice !== null && shown === serial && <p className="hv-notice">{notice.message || notice.code}</p>}
      </div>
    </div>
  );
}
