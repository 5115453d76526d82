import type { Policy } from "../../api/types.ts";

/** The version whose settings count, or are about to: the one in force, else the newest. */
export function shownVersion(p: Pick<Policy, "live" | "newest">): number {
  return p.live > 0 ? p.live : p.newest;
}

/** Which version devices have, and which is on its way. */
export function versionWords(p: Pick<Policy, "live" | "newest" | "rollout">): string {
  const force = p.live > 0 ? `Version ${p.live} in force` : "";
  if (p.rollout) return force ? `${force}, another rolling out` : `Version ${p.newest} rolling out`;
  if (force) return force;
  return p.newest > 0 ? "No version in force" : "Not published yet";
}
