import { notifications } from "@mantine/notifications";
import { wordsOf } from "../api/client.ts";

const close = { "aria-label": "Close this message" };

/** Says that something worked. */
export function notifyDone(message: string): void {
  notifications.show({ message, color: "rail", autoClose: 4000, closeButtonProps: close });
}

/** Says that something did not work, and why; stays until closed. */
export function notifyFailed(what: string, error: unknown): void {
  notifications.show({
    title: what,
    message: wordsOf(error),
    color: "red",
    autoClose: 12_000,
    closeButtonProps: close,
  });
}
