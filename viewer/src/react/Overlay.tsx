/** What is said over the picture, or instead of it. */
import { type ReactNode, useEffect, useState } from "react";
import { phaseOf, type SessionView } from "../session/state.ts";
import { wordsFor } from "../session/words.ts";

interface OverlayProps {
  readonly view: SessionView;
  readonly leave: () => void;
  readonly again?: (() => void) | undefined;
}

/** Says why there is no picture and what to do next; nothing when there is one. */
export function Overlay({ view, leave, again }: OverlayProps): ReactNode {
  const words = wordsFor(view);
  if (words === null) return null;
  const phase = phaseOf(view);
  const busy =
    phase === "joining" || phase === "waiting" || phase === "connecting" || phase === "reconnecting";
  return (
    <div className={phase === "reconnecting" ? "hv-overlay hv-see-through" : "hv-overlay"}>
      <div className="hv-card">
        {busy && <span className="hv-spinner" aria-hidden="true" />}
        <h2>{words.title}</h2>
        <p>{words.detail}</p>
        {phase === "waiting" && view.deadlineUs > 0 && <Countdown deadlineUs={view.deadlineUs} />}
        {words.advice !== "" && <p className="hv-advice">{words.advice}</p>}
        <div className="hv-choices">
          {phase === "over" && again !== undefined && (
            <button type="button" className="hv-button hv-strong" onClick={again}>
              Connect again
            </button>
          )}
          {(phase === "over" || phase === "waiting") && (
            <button type="button" className="hv-button" onClick={leave}>
              {phase === "over" ? "Back" : "Stop waiting"}
            </button>
          )}
        </div>
      </div>
    </div>
  );
}

/** The seconds until silence becomes a refusal. */
function Countdown({ deadlineUs }: { readonly deadlineUs: number }): ReactNode {
  const left = () => Math.max(0, Math.ceil(deadlineUs / 1e6 - Date.now() / 1000));
  const [seconds, setSeconds] = useState(left);
  useEffect(() => {
    const count = () => setSeconds(Math.max(0, Math.ceil(deadlineUs / 1e6 - Date.now() / 1000)));
    count();
    const timer = setInterval(count, 250);
    return () => clearInterval(timer);
  }, [deadlineUs]);
  return (
    <p className="hv-countdown" role="timer" aria-live="off">
      {seconds} s left to answer
    </p>
  );
}

/** The phase in a few words for screen readers, said when it changes. */
export function LiveStatus({ view }: { readonly view: SessionView }): ReactNode {
  const words = wordsFor(view);
  const said =
    words === null ? `Connected to ${view.deviceName}.` : `${words.title}. ${words.detail} ${words.advice}`;
  return (
    <p className="hv-hidden" role="status" aria-live="polite">
      {said}
    </p>
  );
}
