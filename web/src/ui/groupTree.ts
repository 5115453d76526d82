import type { DeviceGroup } from "../api/types.ts";

/** A group with those below it, sorted by name. */
export interface GroupNode {
  group: DeviceGroup;
  depth: number;
  /** Names from the top down, ending with its own. */
  path: string[];
  children: GroupNode[];
}

/**
 * The groups as trees. A group whose parent the operator may not see is the top of a
 * tree of its own.
 */
export function groupTrees(groups: readonly DeviceGroup[]): GroupNode[] {
  const known = new Set(groups.map((g) => g.id));
  const below = new Map<string, DeviceGroup[]>();
  for (const g of groups) {
    const parent = g.parent_id && known.has(g.parent_id) ? g.parent_id : "";
    below.set(parent, [...(below.get(parent) ?? []), g]);
  }
  const build = (parent: string, depth: number, path: string[]): GroupNode[] =>
    (below.get(parent) ?? [])
      .sort((a, b) => a.name.localeCompare(b.name))
      .map((group) => {
        const own = [...path, group.name];
        return { group, depth, path: own, children: build(group.id, depth + 1, own) };
      });
  return build("", 0, []);
}

/** Every node, parents before their children. */
export function flatten(nodes: readonly GroupNode[]): GroupNode[] {
  return nodes.flatMap((n) => [n, ...flatten(n.children)]);
}

/** "Berlin › Reception": the group everything is in goes without saying. */
export function pathWords(path: readonly string[]): string {
  return (path.length > 1 ? path.slice(1) : path).join(" › ");
}

/** Where a group stands, in words; nothing when it is out of sight. */
export function groupPath(groups: readonly DeviceGroup[], id: string): string {
  return pathWords(groups.find((g) => g.id === id)?.path ?? []);
}

/** The nearest group, from this one up, that has a policy of its own for unattended access. */
export function policySource(groups: readonly DeviceGroup[], id: string): DeviceGroup | null {
  const byId = new Map(groups.map((g) => [g.id, g]));
  const seen = new Set<string>();
  for (let g = byId.get(id); g && !seen.has(g.id); g = g.parent_id ? byId.get(g.parent_id) : undefined) {
    seen.add(g.id);
    if (g.unattended) return g;
  }
  return null;
}
