import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { SoftwareNameList, SoftwareVersions } from "./types.ts";

export interface SoftwareFilter {
  q?: string | undefined;
  source?: string | undefined;
  sort?: "name" | "devices" | undefined;
}

/** Software of all devices, a page at a time. */
export const softwareQuery = (filter: SoftwareFilter) =>
  infiniteQueryOptions({
    queryKey: ["software", "list", filter],
    queryFn: ({ signal, pageParam }) =>
      call<SoftwareNameList>("GET", "/api/software", {
        query: { ...filter, limit: 100, after: pageParam },
        signal,
      }),
    initialPageParam: "",
    getNextPageParam: (last) => last.next || undefined,
    placeholderData: (previous) => previous,
  });

/** One software with its versions. */
export const softwareVersionsQuery = (id: string) =>
  queryOptions({
    queryKey: ["software", "one", id],
    queryFn: ({ signal }) => call<SoftwareVersions>("GET", `/api/software/${id}`, { signal }),
  });
