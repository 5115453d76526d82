/** Two questions before something happens: about a text to paste, and about a link to open. */
import type { ReactNode } from "react";
import { Dialog } from "../Dialogs.tsx";
import type { Paste } from "./paste.ts";

/** The most that is shown of a text. */
const mostShown = 20_000;

/** Shows what will be pasted: every line of it may run at once. */
export function PasteGuard(props: {
  readonly paste: Paste;
  readonly close: (yes: boolean) => void;
}): ReactNode {
  const { paste, close } = props;
  const { text, lines, removed } = paste;
  return (
    <Dialog
      title={lines === 1 ? "Paste this line?" : `Paste these ${lines} lines?`}
      close={() => close(false)}
    >
      <p>
        The device may run each line as soon as it arrives.
        {removed > 0 &&
          ` ${removed} hidden ${removed === 1 ? "character was" : "characters were"} taken out.`}
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard */}
      <pre className="hv-pasted" tabIndex={0}>
        {text.slice(0, mostShown)}
        {text.length > mostShown && `\n… and ${text.length - mostShown} characters more`}
      </pre>
      <div className="hv-choices">
        <button type="button" className="hv-button" onClick={() => close(false)}>
          Cancel
        </button>
        <button type="button" className="hv-button hv-strong" onClick={() => close(true)}>
          Paste
        </button>
      </div>
    </Dialog>
  );
}

/** Shows where a link leads: what a terminal says is the device's word, and no more. */
export function LinkGuard(props: { readonly address: string; readonly close: () => void }): ReactNode {
  const { address, close } = props;
  return (
    <Dialog title="Open this address?" close={close}>
      <p>A program on the device shows it. It opens in a new tab of your browser.</p>
      <pre className="hv-pasted">{address}</pre>
      <div className="hv-choices">
        <button type="button" className="hv-button" onClick={close}>
          Cancel
        </button>
        <a
          className="hv-button hv-strong"
          href={address}
          target="_blank"
          rel="noopener noreferrer"
          onClick={() => setTimeout(close)}
        >
          Open
        </a>
      </div>
    </Dialog>
  );
}
