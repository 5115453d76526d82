import type { Grant } from "../../api/types.ts";

/** "Technician on Berlin, Help desk on All devices". */
export function grantWords(grants: readonly Grant[]): string {
  if (grants.length === 0) return "No role yet";
  return grants
    .map((g) => `${g.role_name ?? g.role} on ${g.group_name || "a group out of sight"}`)
    .join(", ");
}
