/** The row of keys a phone's own keyboard does not have. */
import { type ReactNode, useState } from "react";
import type { Desk } from "../desk/desk.ts";
import { Icon } from "./icons.tsx";

const modifiers: readonly (readonly [label: string, code: string])[] = [
  ["Ctrl", "ControlLeft"],
  ["Alt", "AltLeft"],
  ["Shift", "ShiftLeft"],
  ["Super", "MetaLeft"],
];

const keys: readonly (readonly [label: string, code: string])[] = [
  ["Esc", "Escape"],
  ["Tab", "Tab"],
  ["⏎", "Enter"],
  ["⌫", "Backspace"],
  ["Del", "Delete"],
  ["←", "ArrowLeft"],
  ["↑", "ArrowUp"],
  ["↓", "ArrowDown"],
  ["→", "ArrowRight"],
  ["Home", "Home"],
  ["End", "End"],
  ["PgUp", "PageUp"],
  ["PgDn", "PageDown"],
  ...Array.from({ length: 12 }, (_, i) => [`F${i + 1}`, `F${i + 1}`] as const),
];

const names: Readonly<Record<string, string>> = {
  "⏎": "Enter",
  "⌫": "Backspace",
  "←": "Left",
  "↑": "Up",
  "↓": "Down",
  "→": "Right",
};

/** See the file's comment. A modifier stays on until the next key. */
export function TouchKeys({
  desk,
  disabled,
}: {
  readonly desk: Desk;
  readonly disabled: boolean;
}): ReactNode {
  const [held, setHeld] = useState<readonly string[]>([]);
  const [typing, setTyping] = useState(false);
  return (
    <div className="hv-touchkeys" role="toolbar" aria-label="Keys">
      <button
        type="button"
        className="hv-button"
        aria-label="Keyboard"
        aria-pressed={typing}
        disabled={disabled}
        onClick={() => {
          desk.softKeyboard = !typing;
          setTyping(!typing);
        }}
      >
        <Icon name="keys" />
      </button>
      {modifiers.map(([label, code]) => (
        <button
          key={code}
          type="button"
          className="hv-button"
          aria-pressed={held.includes(code)}
          disabled={disabled}
          onPointerDown={(e) => e.preventDefault()}
          onClick={() => setHeld(held.includes(code) ? held.filter((h) => h !== code) : [...held, code])}
        >
          {label}
        </button>
      ))}
      {keys.map(([label, code]) => (
        <button
          key={code}
          type="button"
          className="hv-button"
          aria-label={names[label] ?? label}
          disabled={disabled}
          // The soft keyboard stays up: the field must not lose the focus to this button.
          onPointerDown={(e) => e.preventDefault()}
          onClick={() => {
            desk.pressKeys([...held, code]);
            setHeld([]);
          }}
        >
          {label}
        </button>
      ))}
    </div>
  );
}
