/** Full screen, with as many of the system's keys as the browser lets a page have. */
import { type RefObject, useCallback, useEffect, useState } from "react";

interface KeyboardLock {
  lock(): Promise<void>;
  unlock(): void;
}

function keyboardLock(): KeyboardLock | undefined {
  return (navigator as Navigator & { keyboard?: KeyboardLock }).keyboard;
}

/** Returns whether the element fills the screen, and what changes that. */
export function useFullscreen(element: RefObject<HTMLElement | null>): readonly [boolean, () => void] {
  const [full, setFull] = useState(false);
  useEffect(() => {
    const changed = () => {
      const now = document.fullscreenElement !== null && document.fullscreenElement === element.current;
      setFull(now);
      // With the lock Escape, Alt+Tab and the like reach the device; holding Escape still leaves.
      if (now)
        keyboardLock()
          ?.lock()
          .catch(() => undefined);
      else keyboardLock()?.unlock();
    };
    document.addEventListener("fullscreenchange", changed);
    return () => document.removeEventListener("fullscreenchange", changed);
  }, [element]);
  const toggle = useCallback(() => {
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    else element.current?.requestFullscreen({ navigationUI: "hide" }).catch(() => undefined);
  }, [element]);
  return [full, toggle];
}
