import { useQuery } from "@tanstack/react-query";
import { meQuery } from "./account.ts";
import type { Me } from "./types.ts";

const nobody: Me = {
  id: "",
  name: "",
  email: "",
  organisation: "",
  permissions: [],
  grants: [],
  version: "",
};

/**
 * Who is signed in. Only for pages that need somebody to be; for the moment between
 * signing out and leaving the page it is nobody, who may do nothing.
 */
export function useMe(): Me {
  return useQuery(meQuery).data ?? nobody;
}
