import { Badge } from "@mantine/core";
import type { CSSProperties } from "react";
import type { DeviceLabel, Label } from "../api/types.ts";
import { countWords } from "./words.ts";

const colors: Record<string, string> = {
  gray: "gray",
  red: "red",
  orange: "orange",
  yellow: "yellow",
  green: "green",
  teal: "teal",
  blue: "blue",
  purple: "grape",
  pink: "pink",
};

/** The colour of a label, for an element of the class "dot". */
export function dotOf(color: string): CSSProperties {
  return { "--handrail-dot": `var(--mantine-color-${colors[color] ?? "gray"}-6)` } as CSSProperties;
}

/** A label as it looks everywhere. */
export function LabelBadge({ label }: { label: Pick<Label | DeviceLabel, "name" | "color"> }) {
  return (
    <Badge variant="default" tt="none" leftSection={<span className="dot" style={dotOf(label.color)} />}>
      {label.name}
    </Badge>
  );
}

/** Why a device matches: what was read and what it was. */
export function whyWords(why: readonly { path: string; value: string }[]): string {
  return why
    .map(({ path, value }) => {
      const entries = /^"(\d+) entries"$/.exec(value);
      return entries
        ? `${path} has ${countWords(Number(entries[1]), "entry", "entries")}`
        : `${path} is ${value}`;
    })
    .join(", ");
}
