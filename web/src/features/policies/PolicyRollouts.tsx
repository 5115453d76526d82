import { Stack } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { rolloutsQuery } from "../../api/policies.ts";
import type { Policy } from "../../api/types.ts";
import { Empty, Loaded } from "../../ui/states.tsx";
import { RolloutBoard } from "./RolloutBoard.tsx";

/** The roll-outs of one policy, the newest first. */
export function PolicyRollouts({ policy }: { policy: Policy }) {
  const query = useQuery(rolloutsQuery(policy.id));
  return (
    <Loaded query={query}>
      {({ items }) =>
        items.length === 0 ? (
          <div className="panel">
            <Empty title="No roll-outs">
              When a version is published in stages, it reaches a few devices first and the rest only while
              those stay well. Choose so when you publish.
            </Empty>
          </div>
        ) : (
          <Stack>
            {items.map((r) => (
              <RolloutBoard key={r.id} rollout={r} />
            ))}
          </Stack>
        )
      }
    </Loaded>
  );
}
