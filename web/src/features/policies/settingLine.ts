/** What a setting is called, and what it comes to, in a line. */
import type { CatalogueEntry } from "../../api/types.ts";
import { asValues, isKeptSecret, summary, valueWords } from "../../ui/settingValue.ts";

const longest = 80; // characters of one value; the form has the rest

/** What the catalogue says of a setting; undefined for one this version does not know. */
export function entryOf(entries: readonly CatalogueEntry[], id: string): CatalogueEntry | undefined {
  return entries.find((e) => e.key === id.split("/")[0]);
}

/** "Wi-Fi network: office"; a setting that this version does not know goes by its id. */
export function nameOf(id: string, entry: CatalogueEntry | undefined): string {
  const name = id.includes("/") ? id.slice(id.indexOf("/") + 1) : "";
  return `${entry?.title ?? id}${entry && name ? `: ${name}` : ""}`;
}

/** "Name (SSID) Acme · Security WPA2 Personal", in the order of the form. */
export function valuesLine(entry: CatalogueEntry | undefined, value: unknown): string {
  if (!entry) return cut(summary(value));
  const values = asValues(value);
  const words = entry.fields
    .filter((f) => values[f.name] !== undefined)
    .map((f) => {
      const v = values[f.name];
      return `${f.title} ${f.kind === "secret" || isKeptSecret(v) ? "set" : cut(valueWords(f, v))}`;
    });
  return words.length > 0 ? words.join(" · ") : "Nothing is set yet";
}

function cut(text: string): string {
  const line = text
    .slice(0, 4 * longest)
    .replace(/\s+/g, " ")
    .trim();
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}
