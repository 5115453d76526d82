/** Which terminals the pane shows, and which of them is looked at. */
import type { TerminalBrief } from "../../session/wire.gen.ts";

/** One terminal's tab. */
export interface Tab {
  /** Of the tab: a terminal may end and another be opened in its place. */
  readonly key: number;
  /** The terminal to take part in; null opens one. */
  readonly id: string | null;
  readonly root: boolean;
  /** What is known of it; null until it is open. */
  readonly brief: TerminalBrief | null;
  /** A bell rang while another was looked at. */
  readonly rang: boolean;
}

/** See the file's comment. */
export interface Tabs {
  readonly tabs: readonly Tab[];
  readonly active: number | null;
  readonly next: number;
}

export const noTabs: Tabs = { tabs: [], active: null, next: 1 };

/** What changes them. */
export type TabsChange =
  | { readonly kind: "open"; readonly root: boolean }
  | { readonly kind: "anew"; readonly key: number }
  | { readonly kind: "listed"; readonly terminals: readonly TerminalBrief[] }
  | { readonly kind: "opened"; readonly key: number; readonly brief: TerminalBrief }
  | { readonly kind: "close"; readonly key: number }
  | { readonly kind: "look"; readonly key: number }
  | { readonly kind: "rang"; readonly key: number };

/** Returns the tabs after a change. */
export function changed(s: Tabs, c: TabsChange): Tabs {
  const set = (key: number, to: Partial<Tab>): Tabs => ({
    ...s,
    tabs: s.tabs.map((t) => (t.key === key ? { ...t, ...to } : t)),
  });
  switch (c.kind) {
    case "open":
      return {
        tabs: [...s.tabs, { key: s.next, id: null, root: c.root, brief: null, rang: false }],
        active: s.next,
        next: s.next + 1,
      };
    case "anew": {
      const old = s.tabs.find((t) => t.key === c.key);
      if (old === undefined) return s;
      const fresh: Tab = { key: s.next, id: null, root: old.root, brief: null, rang: false };
      return {
        tabs: s.tabs.map((t) => (t === old ? fresh : t)),
        active: fresh.key,
        next: s.next + 1,
      };
    }
    case "listed": {
      const known = new Set(s.tabs.map((t) => t.brief?.id ?? t.id));
      const found = c.terminals.filter((t) => !known.has(t.id));
      // One that this page is opening is listed before its channel has said which it is.
      if (found.length === 0 || s.tabs.some((t) => t.brief === null && t.id === null)) return s;
      const more = found.map((brief, n) => ({
        key: s.next + n,
        id: brief.id,
        root: brief.root,
        brief,
        rang: false,
      }));
      return {
        tabs: [...s.tabs, ...more],
        active: s.active ?? more[0]?.key ?? null,
        next: s.next + more.length,
      };
    }
    case "opened":
      return set(c.key, { brief: c.brief });
    case "close": {
      const at = s.tabs.findIndex((t) => t.key === c.key);
      const tabs = s.tabs.filter((t) => t.key !== c.key);
      const beside = tabs[Math.min(at, tabs.length - 1)]?.key ?? null;
      return { ...s, tabs, active: s.active === c.key ? beside : s.active };
    }
    case "look":
      return { ...set(c.key, { rang: false }), active: c.key };
    case "rang":
      return s.active === c.key ? s : set(c.key, { rang: true });
  }
}

/** What a tab is called: whose terminal, and which of those. */
export function labelOf(s: Tabs, tab: Tab, user: string): string {
  const name = (t: Tab) => t.brief?.user ?? (t.root ? "root" : user === "" ? "terminal" : user);
  const same = s.tabs.filter((t) => name(t) === name(tab));
  return same.length === 1 ? name(tab) : `${name(tab)} ${same.indexOf(tab) + 1}`;
}
