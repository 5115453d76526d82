/** What is about to be pasted into a terminal: what could run commands by itself is looked at first. */

/** The most that is pasted at once, in UTF-16 units. */
export const mostPasted = 1 << 20;
/** Longer texts are shown before they are pasted even when they are one line. */
const plainMost = 2000;

/** A text to paste, and whether somebody should look at it first. */
export interface Paste {
  /** Without characters that would steer the terminal. */
  readonly text: string;
  readonly lines: number;
  /** How many such characters were left out. */
  readonly removed: number;
  readonly ask: boolean;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
const steering = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Looks at a text of the clipboard; null when it is more than can be pasted. */
export function pasteOf(raw: string): Paste | null {
  if (raw.length > mostPasted) return null;
  const text = raw.replace(/\r\n?/g, "\n").replace(steering, "");
  const removed = raw.replace(/\r\n?/g, "\n").length - text.length;
  const lines = text.replace(/\n$/, "").split("\n").length;
  return { text, lines, removed, ask: text.includes("\n") || removed > 0 || text.length > plainMost };
}

/** A link's address if it may be opened: pages only. */
export function pageAddress(text: string): string | null {
  try {
    const u = new URL(text);
    return u.protocol === "https:" || u.protocol === "http:" ? u.href : null;
  } catch {
    return null;
  }
}
