/** Which tools are open beside the picture, and where. */
import { useCallback, useMemo, useState } from "react";
import { type PaneTarget, toolOf } from "./tools.ts";

/** The edge of the picture at which the tools stand. */
export type DockSide = "right" | "bottom";

/** See the file's comment. */
export interface DockState {
  /** Ids of the open tools, in the tabs' order. */
  readonly open: readonly string[];
  /** The one that is seen; null when none is open. */
  readonly shown: string | null;
  /** Put away for a while: the tools go on. */
  readonly hidden: boolean;
  readonly side: DockSide;
  /** The dock's share of the room, 0 to 1. */
  readonly size: number;
  readonly targets: Readonly<Record<string, PaneTarget>>;
}

/** A DockState and what changes it. */
export interface DockControl {
  readonly state: DockState;
  /** Opens a tool, or shows one that is open. */
  readonly show: (id: string, target?: string) => void;
  readonly close: (id: string) => void;
  readonly hide: (hidden: boolean) => void;
  readonly place: (side: DockSide, size: number) => void;
}

/** The least and the most of the room that a dock may take. */
export const leastSize = 0.15;
export const mostSize = 0.85;

const storageKey = "handrail.dock";

/**
 * Keeps the dock. `first` is the tool to begin with; `shownChanged` hears which one is seen, so that
 * the page's address can keep it.
 */
export function useDock(
  first: string | undefined,
  shownChanged: ((id: string | null) => void) | undefined,
): DockControl {
  const [state, setState] = useState<DockState>(() => {
    const id = toolOf(first)?.id;
    return {
      open: id === undefined ? [] : [id],
      shown: id ?? null,
      hidden: false,
      targets: {},
      ...keptPlace(),
    };
  });
  const show = useCallback(
    (id: string, target?: string) => {
      if (toolOf(id) === undefined) return;
      setState((s) => ({
        ...s,
        open: s.open.includes(id) ? s.open : [...s.open, id],
        shown: id,
        hidden: false,
        targets:
          target === undefined
            ? s.targets
            : { ...s.targets, [id]: { serial: (s.targets[id]?.serial ?? 0) + 1, text: target } },
      }));
      shownChanged?.(id);
    },
    [shownChanged],
  );
  const close = useCallback(
    (id: string) => {
      const at = state.open.indexOf(id);
      const open = state.open.filter((o) => o !== id);
      const shown = state.shown === id ? (open[Math.min(at, open.length - 1)] ?? null) : state.shown;
      setState((s) => ({ ...s, open, shown }));
      shownChanged?.(shown);
    },
    [state.open, state.shown, shownChanged],
  );
  const hide = useCallback(
    (hidden: boolean) => {
      setState((s) => ({ ...s, hidden }));
      shownChanged?.(hidden ? null : state.shown);
    },
    [state.shown, shownChanged],
  );
  const place = useCallback((side: DockSide, size: number) => {
    const kept = Math.min(mostSize, Math.max(leastSize, size));
    setState((s) => ({ ...s, side, size: kept }));
    keepPlace(side, kept);
  }, []);
  return useMemo(() => ({ state, show, close, hide, place }), [state, show, close, hide, place]);
}

function keptPlace(): Pick<DockState, "side" | "size"> {
  const usual = { side: "right", size: 0.42 } as const;
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(storageKey) ?? "null");
    if (typeof kept !== "object" || kept === null) return usual;
    const { side, size } = kept as Partial<Record<string, unknown>>;
    if ((side !== "right" && side !== "bottom") || typeof size !== "number") return usual;
    return { side, size: Math.min(mostSize, Math.max(leastSize, size)) };
  } catch {
    return usual; // a browser that keeps nothing, or what another page has left there
  }
}

function keepPlace(side: DockSide, size: number): void {
  try {
    localStorage.setItem(storageKey, JSON.stringify({ side, size }));
  } catch {
    // It stands where it was put for as long as the page is open.
  }
}
