/** Why a tool has stopped, in the device's words, and the way to start it again. */
import type { ReactNode } from "react";
import type { ToolState } from "./useTool.ts";

/** See the file's comment. Nothing while the tool runs; the dock itself says what a missing right is. */
export function Ended(props: { readonly state: ToolState; readonly again: () => void }): ReactNode {
  const { state, again } = props;
  if (state.kind !== "ended") return null;
  const { code, message } = state.end;
  const words = message === "" ? `The device ended this tool (${code}).` : message;
  return (
    <div className="hv-banner" role="alert">
      <p>{words}</p>
      <button type="button" className="hv-button hv-strong" onClick={again}>
        Start again
      </button>
    </div>
  );
}
