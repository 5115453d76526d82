import { Badge } from "@mantine/core";
import type { DeviceLabel, Label } from "../api/types.ts";

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

/** A label as it looks everywhere. */
export function LabelBadge({ label }: { label: Pick<Label | DeviceLabel, "name" | "color"> }) {
  return (
    <Badge variant="light" color={colors[label.color] ?? "gray"} tt="none" className="label-badge">
      {label.name}
    </Badge>
  );
}

/** Why a device matches: what was read and what it was. */
export function whyWords(why: readonly { path: string; value: string }[]): string {
  return why.map((w) => `${w.path} is ${w.value}`).join(", ");
}
