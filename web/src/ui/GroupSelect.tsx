import { Select, type SelectProps } from "@mantine/core";
import { useMemo } from "react";
import type { DeviceGroup } from "../api/types.ts";
import { flatten, groupTrees } from "./groupTree.ts";

interface GroupSelectProps extends Omit<SelectProps, "data" | "renderOption" | "searchable"> {
  groups: readonly DeviceGroup[];
  /** Groups to leave out. */
  without?: ReadonlySet<string>;
}

/** Chooses a group; the list is indented as the tree is. */
export function GroupSelect({ groups, without, ...rest }: GroupSelectProps) {
  const nodes = useMemo(
    () => flatten(groupTrees(groups)).filter((n) => !without?.has(n.group.id)),
    [groups, without],
  );
  const depth = useMemo(() => new Map(nodes.map((n) => [n.group.id, n.depth])), [nodes]);
  return (
    <Select
      searchable
      data={nodes.map((n) => ({ value: n.group.id, label: n.group.name }))}
      renderOption={({ option }) => (
        <span style={{ paddingLeft: `${(depth.get(option.value) ?? 0) * 0.9}rem` }}>{option.label}</span>
      )}
      {...rest}
    />
  );
}
