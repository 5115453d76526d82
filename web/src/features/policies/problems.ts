import { ApiError } from "../../api/client.ts";
import type { Problems } from "../../ui/settingValue.ts";

/**
 * What the gateway said about single settings, by setting id and then by the path within
 * it: "settings[wifi.network/office].peers[0].endpoint". What it said of settings that are
 * not among the ids is left out.
 */
export function settingProblems(error: unknown, ids: readonly string[]): Map<string, Problems> {
  const out = new Map<string, Map<string, string>>();
  if (!(error instanceof ApiError)) return out;
  for (const { field, message } of error.fields) {
    const [, id = "", path = ""] = /^settings\[([^\]]*)\]\.?(.*)$/.exec(field) ?? [];
    if (!ids.includes(id)) continue;
    const own = out.get(id) ?? new Map<string, string>();
    own.set(path, message);
    out.set(id, own);
  }
  return out;
}

/** How many of the gateway's complaints stand beside their fields. */
export function countProblems(problems: ReadonlyMap<string, Problems>): number {
  return [...problems.values()].reduce((n, p) => n + p.size, 0);
}
