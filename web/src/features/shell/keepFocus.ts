import { useEffect } from "react";

const mostKept = 40; // places in the page that had the focus, newest last
const settledMs = 60; // dialogs and menus give the focus back themselves, a moment after they close

/**
 * Keeps the focus from getting lost with what held it: a dialog that was opened from a menu, a row
 * that is deleted, a button that goes once it has done its work. It then goes back to what had it
 * before and is still there, else to the page's heading, so that the next Tab goes on from there.
 */
export function useKeptFocus(): void {
  useEffect(() => {
    const kept = keepFocus();
    return () => kept.stop();
  }, []);
}

function keepFocus() {
  let history: HTMLElement[] = [];
  let holder: HTMLElement | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const seen = new WeakSet<Element>();

  const onFocusIn = (e: FocusEvent) => {
    if (!(e.target instanceof HTMLElement)) return;
    holder = e.target;
    history = [...history.filter((el) => el !== holder && el.isConnected), holder].slice(-mostKept);
  };
  const onFocusOut = (e: FocusEvent) => {
    const left = e.target;
    // By now it is known whether it went or was switched off; else somebody clicked elsewhere.
    queueMicrotask(() => {
      if (left === holder && isThere(holder) && document.activeElement !== holder) holder = undefined;
    });
  };
  const settle = () => {
    timer = undefined;
    if (document.activeElement !== document.body || !holder) return;
    if (isThere(holder)) {
      holder.focus({ preventScroll: true }); // was switched off while it worked
      return;
    }
    // What works still comes back by itself, and a row that was scrolled away is not gone.
    if (holder.isConnected || holder.closest("tr[data-row]")) return;
    returnTo(history);
  };
  const observer = new MutationObserver(() => {
    const dialog = openDialog();
    if (dialog) focusLateFields(dialog, seen);
    if (timer === undefined && holder && document.activeElement === document.body)
      timer = setTimeout(settle, settledMs);
  });

  document.addEventListener("focusin", onFocusIn);
  document.addEventListener("focusout", onFocusOut);
  observer.observe(document.body, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ["disabled"],
  });
  return {
    stop() {
      clearTimeout(timer);
      observer.disconnect();
      document.removeEventListener("focusin", onFocusIn);
      document.removeEventListener("focusout", onFocusOut);
    },
  };
}

function isThere(el: HTMLElement): boolean {
  return el.isConnected && !el.matches(":disabled") && (el.checkVisibility?.() ?? true);
}

function openDialog(): HTMLElement | undefined {
  return [...document.querySelectorAll<HTMLElement>('[role="dialog"][aria-modal="true"]')].at(-1);
}

/** A dialog's first field that is only there once something has loaded gets the focus the dialog had until then. */
function focusLateFields(dialog: HTMLElement, seen: WeakSet<Element>): void {
  for (const field of dialog.querySelectorAll<HTMLElement>("[data-autofocus]")) {
    if (seen.has(field)) continue;
    seen.add(field);
    const at = document.activeElement;
    if (at === document.body || at === dialog || at === dialog.querySelector("button")) field.focus();
  }
}

function returnTo(history: readonly HTMLElement[]): void {
  const dialog = openDialog();
  const last = history.findLast(
    (el) => isThere(el) && (dialog ?? document.body).contains(el) && !el.closest('[role="menu"]'),
  );
  const place = last ?? dialog ?? document.querySelector<HTMLElement>("main h1");
  place?.focus({ preventScroll: true });
}
