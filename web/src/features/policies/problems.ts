import { ApiError } from "../../api/client.ts";
import type { Problems } from "../../ui/settingValue.ts";

/**
 * What the gateway said about single settings, by setting id and then by the path within
 * it: "body.settings[wifi.network/office].psk" or "settings[0].psk" for the first of `ids`.
 */
export function settingProblems(error: unknown, ids: readonly string[]): Map<string, Problems> {
  const out = new Map<string, Map<string, string>>();
  if (!(error instanceof ApiError)) return out;
  for (const { field, message } of error.fields) {
    const found = /^settings\[([^\]]*)\]\.?(?:value\.?)?(.*)$/.exec(field);
    if (!found) continue;
    const [, which = "", path = ""] = found;
    const id = /^\d+$/.test(which) ? (ids[Number(which)] ?? which) : which;
    const own = out.get(id) ?? new Map<string, string>();
    own.set(path, message);
    out.set(id, own);
  }
  return out;
}
