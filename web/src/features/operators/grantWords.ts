import type { DeviceGroup, Grant, Role } from "../../api/types.ts";

/** "Technician on Berlin, Help desk on All devices". */
export function grantWords(
  grants: readonly Grant[],
  roles: readonly Role[],
  groups: readonly DeviceGroup[],
): string {
  if (grants.length === 0) return "No role yet";
  return grants
    .map((g) => {
      const role = roles.find((r) => r.role === g.role)?.name ?? g.role;
      const group = groups.find((d) => d.id === g.group_id)?.name ?? "a group out of sight";
      return `${role} on ${group}`;
    })
    .join(", ");
}
