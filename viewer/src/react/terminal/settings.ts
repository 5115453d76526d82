/** What a person likes a terminal to be like, kept in the browser. */
import { useEffect, useState } from "react";

/** See the file's comment. */
export interface TerminalSettings {
  readonly fontSize: number;
  readonly reader: boolean;
}

export const leastFont = 8;
export const mostFont = 32;

const key = "handrail.terminal";
const usual: TerminalSettings = { fontSize: 14, reader: false };

function stored(): TerminalSettings {
  try {
    const v: unknown = JSON.parse(localStorage.getItem(key) ?? "null");
    if (typeof v !== "object" || v === null) return usual;
    const { fontSize, reader } = v as Record<string, unknown>;
    return {
      fontSize:
        typeof fontSize === "number" && fontSize >= leastFont && fontSize <= mostFont
          ? Math.round(fontSize)
          : usual.fontSize,
      reader: reader === true,
    };
  } catch {
    return usual; // no storage, or not ours
  }
}

/** The settings, and how they are changed for this browser. */
export function useSettings(): readonly [TerminalSettings, (s: TerminalSettings) => void] {
  const [settings, setSettings] = useState(stored);
  const set = (s: TerminalSettings) => {
    setSettings(s);
    try {
      localStorage.setItem(key, JSON.stringify(s));
    } catch {
      // A browser without storage forgets it.
    }
  };
  return [settings, set];
}

/** Whether the page is dark now. */
export function useDark(): boolean {
  const [isDark, setDark] = useState(darkNow);
  useEffect(() => {
    const look = () => setDark(darkNow());
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    const observer = new MutationObserver(look);
    observer.observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme"] });
    scheme.addEventListener("change", look);
    return () => {
      observer.disconnect();
      scheme.removeEventListener("change", look);
    };
  }, []);
  return isDark;
}

function darkNow(): boolean {
  const chosen = document.documentElement.dataset.mantineColorScheme;
  return chosen === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
}
