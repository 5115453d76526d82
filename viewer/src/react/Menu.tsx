/** A toolbar button that opens a list of commands. */
import { type KeyboardEvent, type ReactNode, useEffect, useId, useRef, useState } from "react";
import { Icon, type IconName } from "./icons.tsx";

/** One command. */
export interface MenuItem {
  readonly label: string;
  /** Said beside the label: a shortcut, a size. */
  readonly hint?: string;
  /** Set for a choice among several, or a switch: whether it is on. */
  readonly checked?: boolean;
  readonly disabled?: boolean;
  readonly run: () => void;
}

interface MenuProps {
  readonly label: string;
  readonly icon: IconName;
  /** Shown beside the icon where there is room. */
  readonly text?: string;
  readonly items: readonly MenuItem[];
  readonly disabled?: boolean;
}

/** See the file's comment. Arrow keys move, Escape closes, the button gets the focus back. */
export function Menu({ label, icon, text, items, disabled = false }: MenuProps): ReactNode {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    const outside = (e: Event) => {
      if (e.target instanceof Node && !root.current?.contains(e.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    itemsOf(root.current)[0]?.focus();
    return () => document.removeEventListener("pointerdown", outside);
  }, [open]);

  const close = () => {
    setOpen(false);
    button.current?.focus();
  };

  const keys = (e: KeyboardEvent) => {
    const all = itemsOf(root.current);
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    const to: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 };
    if (e.key === "Escape") close();
    else if (e.key === "Tab") {
      setOpen(false);
      return;
    } else if (e.key in to) all[((to[e.key] ?? 0) + all.length) % all.length]?.focus();
    else return;
    e.preventDefault();
    e.stopPropagation();
  };

  return (
    <div className="hv-menu" ref={root}>
      <button
        ref={button}
        type="button"
        className="hv-button"
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        disabled={disabled}
        onClick={() => setOpen(!open)}
      >
        <Icon name={icon} />
        {text !== undefined && <span className="hv-text">{text}</span>}
      </button>
      {open && (
        <div
          className="hv-popover hv-items"
          role="menu"
          id={id}
          aria-label={label}
          tabIndex={-1}
          onKeyDown={keys}
        >
          {items.map((item) => (
            <button
              key={item.label}
              type="button"
              className="hv-item"
              {...roleOf(item)}
              disabled={item.disabled}
              onClick={() => {
                close();
                item.run();
              }}
            >
              <span className="hv-check" aria-hidden="true">
                {item.checked === true ? "✓" : ""}
              </span>
              <span>{item.label}</span>
              {item.hint !== undefined && <span className="hv-hint">{item.hint}</span>}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

/** A command, or a choice with its state. */
function roleOf(item: MenuItem): { role: string; "aria-checked"?: boolean } {
  return item.checked === undefined
    ? { role: "menuitem" }
    : { role: "menuitemcheckbox", "aria-checked": item.checked };
}

function itemsOf(root: HTMLElement | null): HTMLButtonElement[] {
  return [...(root?.querySelectorAll<HTMLButtonElement>(".hv-item:not(:disabled)") ?? [])];
}
