/**
 * The tools that stand beside the picture. Each is fetched when it is first shown: who only wants the
 * screen does not wait for terminals and graphs.
 */
import type { ComponentType } from "react";
import type { Session } from "../browser/session.ts";
import type { SessionView } from "../session/state.ts";
import type { Capability } from "../session/wire.gen.ts";

/** What a pane is given. */
export interface PaneProps {
  readonly session: Session;
  readonly view: SessionView;
  /** Whether it can be seen; a pane that cannot need not draw, and may rest. */
  readonly active: boolean;
  /** What to show first, in the pane's own words: a process's number, a mount. A new `serial` asks again. */
  readonly target: PaneTarget | null;
  /** Shows another tool, or this one, with something to begin with. */
  readonly open: (tool: string, target?: string) => void;
  /** Asks the person at the device for more; null where nobody can be asked. */
  readonly ask: ((wanted: readonly Capability[]) => void) | null;
}

/** A wish where a pane should begin; `serial` tells two equal wishes apart. */
export interface PaneTarget {
  readonly serial: number;
  readonly text: string;
}

/** A tool, as the menu and the tabs have it. */
export interface ToolEntry {
  /** As in addresses. */
  readonly id: string;
  readonly label: string;
  /** Without it the pane says so and offers to ask. */
  readonly needs: Capability;
  /** Fetches the pane. A module has one export of that name. */
  readonly load: () => Promise<{ readonly Pane: ComponentType<PaneProps> }>;
}

/** Every tool, in the menu's order. A pane enters itself here once it works. */
export const tools: readonly ToolEntry[] = [
  {
    id: "findings",
    label: "Findings",
    needs: "diagnostics",
    load: () => import("./findings/Pane.tsx"),
  },
  {
    id: "vitals",
    label: "Live figures",
    needs: "diagnostics",
    load: () => import("./vitals/Pane.tsx"),
  },
  {
    id: "process",
    label: "Processes",
    needs: "diagnostics",
    load: () => import("./processes/Pane.tsx"),
  },
  {
    id: "service",
    label: "Services",
    needs: "diagnostics",
    load: () => import("./services/Pane.tsx"),
  },
  {
    id: "journal",
    label: "Journal",
    needs: "diagnostics",
    load: () => import("./journal/Pane.tsx"),
  },
  {
    id: "space",
    label: "Disk space",
    needs: "diagnostics",
    load: () => import("./space/Pane.tsx"),
  },
  {
    id: "netcheck",
    label: "Network",
    needs: "diagnostics",
    load: () => import("./netcheck/Pane.tsx"),
  },
  {
    id: "machine",
    label: "Machine",
    needs: "diagnostics",
    load: () => import("./machine/Pane.tsx"),
  },
  {
    id: "terminal",
    label: "Terminal",
    needs: "terminal",
    load: () => import("./terminal/Pane.tsx"),
  },
  {
    id: "files",
    label: "Files",
    needs: "files",
    load: () => import("./files/Pane.tsx"),
  },
];

/** Returns the tool of an id; undefined where an address names one that is not here. */
export function toolOf(id: string | null | undefined): ToolEntry | undefined {
  return tools.find((t) => t.id === id);
}

/** What each right is called in a sentence, as "needs … in this session". */
export const rightWords: Readonly<Record<Capability, string>> = {
  view: "the screen",
  control: "control",
  clipboard: "the clipboard",
  files: "files",
  terminal: "the terminal",
  root: "administrator rights",
  diagnostics: "diagnostics",
  power: "power",
  record: "recording",
};
