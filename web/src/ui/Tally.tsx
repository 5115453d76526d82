import { Group } from "@mantine/core";
import type { DeviceFilter } from "../api/devices.ts";
import { PageLink } from "./links.tsx";
import { Mark } from "./marks.tsx";

/** How many devices are in one state, and where to find them. */
export interface Tallied {
  state: string;
  words: string;
  color: string;
  n: number;
  search: DeviceFilter;
}

/** Devices by state, each number a link to them. */
export function Tally({ of }: { of: readonly Tallied[] }) {
  return (
    <Group gap="sm" wrap="wrap">
      {of.map(({ state, words, color, n, search }) => (
        <PageLink
          key={state}
          to="/devices"
          search={search}
          underline="hover"
          c="inherit"
          className="above-link"
        >
          <Mark color={color}>
            {n.toLocaleString("en")} {words.toLowerCase()}
          </Mark>
        </PageLink>
      ))}
    </Group>
  );
}
