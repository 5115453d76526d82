import type { Me } from "../api/types.ts";

/**
 * Whether the operator holds a permission anywhere. The console hides what is out of
 * reach by it; what counts is the gateway's own check of each request.
 */
export function may(me: Me, permission: string): boolean {
  return me.permissions.includes(permission);
}
