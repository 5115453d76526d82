/**
 * The values of settings as a form holds them, and what the catalogue says of their fields.
 * An absent field leaves the device's own value alone, which is not the same as off or empty.
 */
import type { Field } from "../api/types.ts";

export type Value = unknown;
export type Values = Readonly<Record<string, Value>>;

/** What is wrong, by the path within the setting: "psk", "peers[0].endpoint". */
export type Problems = ReadonlyMap<string, string>;

/** A secret that the gateway keeps and does not tell; sent back, it stays as it is. */
export const keptSecret = { secret: true } as const;

export function isKeptSecret(v: Value): boolean {
  return typeof v === "object" && v !== null && (v as { secret?: unknown }).secret === true;
}

export function asValues(v: Value): Values {
  return typeof v === "object" && v !== null && !Array.isArray(v) ? (v as Values) : {};
}

/** The values with one of them changed; undefined takes it out. */
export function withValue(values: Values, name: string, value: Value): Values {
  const { [name]: _, ...rest } = values;
  return value === undefined ? rest : { ...rest, [name]: value };
}

/** Whether a field means something, given its siblings; what is absent counts as its default. */
export function holds(field: Field, siblings: readonly Field[], values: Values): boolean {
  if (!field.when) return true;
  const { field: name, in: wanted } = field.when;
  const value = values[name] ?? siblings.find((s) => s.name === name)?.default;
  return value !== undefined && wanted.includes(String(value));
}

/** What a new entry of a list begins with. */
export function blank(field: Field): Value {
  switch (field.kind) {
    case "object":
      return {};
    case "list":
      return [];
    case "bool":
      return field.default ?? false;
    case "integer":
      return field.default ?? field.min;
    case "json":
      return {};
    default:
      return field.default ?? field.choices?.[0]?.value ?? "";
  }
}

/** The path of a field below another. */
export function below(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/** Problems that no field of this list shows: of the whole, or of fields that are hidden. */
export function unplaced(problems: Problems, shown: readonly string[]): string[] {
  return [...problems]
    .filter(
      ([path]) => !shown.some((s) => path === s || path.startsWith(`${s}.`) || path.startsWith(`${s}[`)),
    )
    .map(([, message]) => message);
}

/** A value as its form shows it: choices by their titles, numbers with their unit, fields by name. */
export function valueWords(field: Field | undefined, value: Value): string {
  if (!field || value === undefined || value === null || isKeptSecret(value)) return summary(value);
  const choice = field.choices?.find((c) => c.value === value);
  if (choice) return choice.title;
  if (Array.isArray(value)) {
    const [before, between] = field.items?.kind === "object" ? ["(", ") ("] : ["", ", "];
    const after = before === "" ? "" : ")";
    if (value.length === 0) return "none";
    return before + value.map((v) => valueWords(field.items, v)).join(between) + after;
  }
  if (field.fields && typeof value === "object") {
    return Object.entries(value)
      .map(([name, v]) => {
        const inner = field.fields?.find((f) => f.name === name);
        return `${inner?.title ?? name}: ${valueWords(inner, v)}`;
      })
      .join("; ");
  }
  if (field.kind === "secret") return "secret";
  return field.unit ? `${summary(value)} ${field.unit}` : summary(value);
}

/** A value in a few words, for lists and differences. */
export function summary(value: Value): string {
  if (value === undefined || value === null) return "not set";
  if (isKeptSecret(value)) return "secret";
  if (typeof value === "boolean") return value ? "on" : "off";
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(summary).join(", ");
  if (typeof value === "object") {
    return Object.entries(value)
      .map(([k, v]) => `${k}: ${summary(v)}`)
      .join("; ");
  }
  return String(value);
}
