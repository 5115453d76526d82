import { queryOptions } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { Overview } from "./types.ts";

export const overviewQuery = queryOptions({
  queryKey: ["overview"],
  queryFn: ({ signal }) => call<Overview>("GET", "/api/overview", { signal }),
});
