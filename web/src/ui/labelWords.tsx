import { Badge } from "@mantine/core";
import type { CSSProperties } from "react";
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
    <Badge
      variant="default"
      tt="none"
      leftSection={
        <span
          className="dot"
          style={
            { "--handrail-dot": `var(--mantine-color-${colors[label.color] ?? "gray"}-6)` } as CSSProperties
          }
        />
      }
    >
      {label.name}
    </Badge>
  );
}

/** Why a device matches: what was read and what it was. */
export function whyWords(why: readonly { path: string; value: string }[]): string {
  return why.map((w) => `${w.path} is ${w.value}`).join(", ");
}
