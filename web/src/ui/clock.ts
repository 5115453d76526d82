import { useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
let minute = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    minute = Date.now();
    for (const l of listeners) l();
  }, 15_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The time now in milliseconds, renewed every 15 s for as long as somebody looks. */
export function useNow(): number {
  useSyncExternalStore(subscribe, () => minute);
  return Math.max(minute, Date.now());
}
