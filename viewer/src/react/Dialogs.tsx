/** The dialogs: keyboard help, and a text to type at the device. */
import { type ReactNode, useEffect, useRef, useState } from "react";
import type { Desk } from "../desk/desk.ts";

interface DialogProps {
  readonly title: string;
  readonly close: () => void;
  readonly children: ReactNode;
}

/** A modal dialog: the browser keeps the focus inside and closes it on Escape. */
export function Dialog({ title, close, children }: DialogProps): ReactNode {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const el = element.current;
    el?.showModal();
    return () => el?.close();
  }, []);
  return (
    <dialog
      ref={element}
      className="hv-dialog"
      aria-label={title}
      onCancel={(e) => {
        e.preventDefault();
        close();
      }}
    >
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}

const keys: readonly (readonly [string, string])[] = [
  ["Ctrl+Alt+Shift+T", "Go to the toolbar; Tab moves on from there"],
  ["Ctrl+Alt+Shift+D", "Go to the tools beside the picture, where some are open"],
  ["Ctrl+Alt+Shift+F", "Full screen on and off"],
  ["Ctrl+Alt+Shift+0", "Fit the picture to the window"],
  ["Ctrl+Alt+Shift+1", "Pixel for pixel"],
  ["Ctrl+Alt+Shift+V", "Paste as keystrokes"],
  ["Ctrl+Alt+Shift+S", "Save a screenshot"],
  ["Ctrl+Alt+Shift+H", "This help"],
];

/** Says which keys the viewer keeps and which the browser does. */
export function KeyboardHelp(props: {
  readonly close: () => void;
  /** On a Mac: whether Command acts as Ctrl, and how to change that. */
  readonly command: { readonly asControl: boolean; readonly set: (on: boolean) => void } | null;
}): ReactNode {
  const { close, command } = props;
  return (
    <Dialog title="Keyboard" close={close}>
      <p>Everything you type goes to the device while its picture has the focus, except:</p>
      <dl className="hv-keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p>
        Some keys never leave your own system, such as Ctrl+Alt+Del, Alt+Tab or the Windows key: find them
        under “Send keys”. In full screen most of them do reach the device; hold Escape to leave full screen.
      </p>
      <p>
        On a touch screen: tap to click, hold or tap with two fingers for the right button, drag with one
        finger, scroll with two, pinch to zoom.
      </p>
      {command !== null && (
        <label className="hv-option">
          <input
            type="checkbox"
            checked={command.asControl}
            onChange={(e) => command.set(e.target.checked)}
          />
          Command (⌘) acts as Ctrl
        </label>
      )}
      <div className="hv-choices">
        <button type="button" className="hv-button hv-strong" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}

/** Takes a text and types it at the device, for places that know no clipboard: sign-in screens, consoles. */
export function PasteDialog({ desk, close }: { readonly desk: Desk; readonly close: () => void }): ReactNode {
  const [text, setText] = useState("");
  return (
    <Dialog title="Paste as keystrokes" close={close}>
      <label className="hv-field">
        Text to type at the device
        <textarea rows={6} value={text} onChange={(e) => setText(e.target.value)} spellCheck={false} />
      </label>
      <p className="hv-advice">It is typed key by key where the device's text cursor is.</p>
      <div className="hv-choices">
        <button type="button" className="hv-button" onClick={close}>
          Cancel
        </button>
        <button
          type="button"
          className="hv-button hv-strong"
          disabled={text === ""}
          onClick={() => {
            desk.typeText(text);
            close();
          }}
        >
          Type it
        </button>
      </div>
    </Dialog>
  );
}
