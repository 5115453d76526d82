/** xterm.js as this page uses it: its looks, its addons, and what programs may not do to the page. */
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Unicode11Addon } from "@xterm/addon-unicode11";
import { WebLinksAddon } from "@xterm/addon-web-links";
import { type ITheme, Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";

const dark: ITheme = {
  background: "#12161b",
  foreground: "#e4e9ee",
  cursor: "#e4e9ee",
  cursorAccent: "#12161b",
  selectionBackground: "#3d5a80",
  black: "#3a4550",
  red: "#ff8a80",
  green: "#7fd99a",
  yellow: "#e6cf6a",
  blue: "#82b1ff",
  magenta: "#e0a3f0",
  cyan: "#6fd3e3",
  white: "#d5dce3",
  brightBlack: "#8794a1",
  brightRed: "#ffab9f",
  brightGreen: "#a5ebb9",
  brightYellow: "#f5e39a",
  brightBlue: "#aecbff",
  brightMagenta: "#f0c6f8",
  brightCyan: "#a3e6f0",
  brightWhite: "#ffffff",
};

const light: ITheme = {
  background: "#ffffff",
  foreground: "#1b2530",
  cursor: "#1b2530",
  cursorAccent: "#ffffff",
  selectionBackground: "#b6d0f5",
  black: "#1b2530",
  red: "#b3261e",
  green: "#14713f",
  yellow: "#8a5a00",
  blue: "#1f5fbf",
  magenta: "#8d2a86",
  cyan: "#006f80",
  white: "#66727e",
  brightBlack: "#51606f",
  brightRed: "#c4362d",
  brightGreen: "#1d7f4b",
  brightYellow: "#96670a",
  brightBlue: "#2f6fcf",
  brightMagenta: "#9c3a95",
  brightCyan: "#0b7d8e",
  brightWhite: "#3a4550",
};

/** Lines that can be scrolled back to; a device that floods takes no more of the page's memory. */
const scrollback = 10_000;

/** What a terminal on the page is made of. */
export interface Xterm {
  readonly term: Terminal;
  readonly fit: FitAddon;
  readonly search: SearchAddon;
}

/** How it looks and whom it serves. */
export interface Looks {
  readonly dark: boolean;
  readonly fontSize: number;
  /** The screen is read aloud: xterm.js keeps a copy of it for assistive technology. */
  readonly reader: boolean;
}

/** Makes a terminal; `link` is told of an address somebody clicked on, which the page has not opened. */
export function makeXterm(looks: Looks, link: (address: string) => void): Xterm {
  const term = new Terminal({
    allowProposedApi: true, // unicode versions
    scrollback,
    cursorBlink: false,
    fontFamily: '"DejaVu Sans Mono", "Cascadia Mono", Menlo, Consolas, monospace',
    minimumContrastRatio: 4.5,
    macOptionClickForcesSelection: true,
    rightClickSelectsWord: false,
    linkHandler: { activate: (_, address) => link(address) },
    ...optionsOf(looks),
  });
  const fit = new FitAddon();
  const search = new SearchAddon();
  term.loadAddon(fit);
  term.loadAddon(search);
  term.loadAddon(new Unicode11Addon());
  term.loadAddon(new WebLinksAddon((_, address) => link(address)));
  term.unicode.activeVersion = "11";
  // Titles, icons, and the clipboard are the operator's: a program of the device sets none of them.
  for (const osc of [0, 1, 2, 52]) term.parser.registerOscHandler(osc, () => true);
  return { term, fit, search };
}

/** Gives a terminal other looks. */
export function setLooks(term: Terminal, looks: Looks): void {
  term.options = optionsOf(looks);
}

function optionsOf(looks: Looks) {
  return {
    theme: looks.dark ? dark : light,
    fontSize: looks.fontSize,
    screenReaderMode: looks.reader,
  };
}
