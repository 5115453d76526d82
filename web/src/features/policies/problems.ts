import { ApiError } from "../../api/client.ts";
import type { Problems } from "../../ui/settingValue.ts";

/**
 * What the gateway said about single settings, by setting id and then by the path within
 * it: "settings.wifi.network/office.psk". Ids hold dots, so the known ones are looked for.
 */
export function settingProblems(error: unknown, ids: readonly string[]): Map<string, Problems> {
  const out = new Map<string, Map<string, string>>();
  if (!(error instanceof ApiError)) return out;
  const longestFirst = [...ids].sort((a, b) => b.length - a.length);
  for (const { field, message } of error.fields) {
    if (!field.startsWith("settings.")) continue;
    const rest = field.slice("settings.".length);
    const id = longestFirst.find((i) => rest === i || rest.startsWith(`${i}.`) || rest.startsWith(`${i}[`));
    if (id === undefined) continue;
    const own = out.get(id) ?? new Map<string, string>();
    own.set(rest.slice(id.length).replace(/^\./, ""), message);
    out.set(id, own);
  }
  return out;
}
