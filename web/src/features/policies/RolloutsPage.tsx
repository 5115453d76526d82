import { Button, Center, SegmentedControl, Stack } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { allRolloutsQuery } from "../../api/policies.ts";
import type { Rollout } from "../../api/types.ts";
import { RolloutIcon } from "../../ui/icons.tsx";
import { ButtonLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { Empty, ErrorPanel, SkeletonRows } from "../../ui/states.tsx";
import { RolloutBoard } from "./RolloutBoard.tsx";

interface RolloutsPageProps {
  state: Rollout["state"] | undefined;
  onState: (state: Rollout["state"] | undefined) => void;
}

const isOpen = (r: Rollout) => r.state === "running" || r.state === "paused";

/** Every roll-out, those under way first. */
export function RolloutsPage({ state, onState }: RolloutsPageProps) {
  const query = useInfiniteQuery(allRolloutsQuery(state));
  const all = query.data?.pages.flatMap((p) => p.items) ?? [];
  const shown = [...all.filter(isOpen), ...all.filter((r) => !isOpen(r))];
  return (
    <Page title="Roll-outs" lead="New versions of policies on their way to devices, stage by stage.">
      <SegmentedControl
        className="scroll-tabs"
        mb="sm"
        aria-label="State"
        data={[
          { value: "", label: "All" },
          { value: "running", label: "Running" },
          { value: "paused", label: "Paused" },
          { value: "returned", label: "Stopped" },
          { value: "done", label: "Done" },
        ]}
        value={state ?? ""}
        onChange={(v) => onState((v || undefined) as Rollout["state"] | undefined)}
      />
      {query.isPending ? (
        <div className="panel">
          <SkeletonRows />
        </div>
      ) : shown.length > 0 ? (
        <Stack gap="sm">
          {shown.map((r) => (
            <RolloutBoard key={r.id} rollout={r} />
          ))}
          {query.hasNextPage && (
            <Center>
              <Button
                variant="default"
                loading={query.isFetchingNextPage}
                onClick={() => void query.fetchNextPage()}
              >
                Load older ones
              </Button>
            </Center>
          )}
        </Stack>
      ) : query.isError ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <div className="panel">
          <Empty
            icon={<RolloutIcon size={36} />}
            title={state ? "No roll-out is in this state" : "No roll-outs yet"}
            action={<ButtonLink to="/policies">Policies</ButtonLink>}
          >
            When a version of a policy is published in stages, it reaches a few devices first and the rest
            only while those stay well.
          </Empty>
        </div>
      )}
    </Page>
  );
}
