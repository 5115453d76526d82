import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { call } from "./client.ts";
import type { AssetFields, AssetImport } from "./types.ts";

/** The organisation's own fields of devices, in their order. */
export const assetFieldsQuery = queryOptions({
  queryKey: ["asset-fields"],
  queryFn: ({ signal }) => call<AssetFields>("GET", "/api/asset-fields", { signal }),
});

export function useSaveAssetFields() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: AssetFields) => call<AssetFields>("PUT", "/api/asset-fields", { body }),
    onSuccess: (saved) => client.setQueryData(assetFieldsQuery.queryKey, saved),
  });
}

/** Sets asset fields from a CSV file, or with `dryRun` only says what would happen. */
export function useImportAssets(dryRun: boolean) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (csv: string) =>
      call<AssetImport>("POST", "/api/assets/import", { query: { dry_run: dryRun || undefined }, csv }),
    onSuccess: () => (dryRun ? undefined : client.invalidateQueries({ queryKey: ["devices"] })),
  });
}
