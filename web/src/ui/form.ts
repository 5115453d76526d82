import type { UseFormReturnType } from "@mantine/form";
import { ApiError } from "../api/client.ts";

/**
 * Puts what the gateway said about single fields beside those fields. Returns true when
 * every complaint found its field, so that no general message is needed.
 */
export function showFieldProblems<V extends Record<string, unknown>>(
  form: UseFormReturnType<V>,
  error: unknown,
): boolean {
  if (!(error instanceof ApiError) || error.fields.length === 0) return false;
  let all = true;
  for (const { field, message } of error.fields) {
    if (field in form.getValues()) form.setFieldError(field, message);
    else all = false;
  }
  return all;
}

/** Whether the gateway refused a name because something else has it. */
export function isTaken(error: unknown): boolean {
  return error instanceof ApiError && error.code === "already_exists";
}
