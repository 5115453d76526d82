import { useQuery } from "@tanstack/react-query";
import { rolloutsQuery } from "../../api/policies.ts";
import { PolicyIcon } from "../../ui/icons.tsx";
import { ButtonLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { Empty, Loaded } from "../../ui/states.tsx";
import { RolloutBoard } from "./RolloutBoard.tsx";

/** Every roll-out, those under way first. */
export function RolloutsPage() {
  const query = useQuery(rolloutsQuery());
  return (
    <Page title="Roll-outs" lead="New versions of policies on their way to devices, step by step.">
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <div className="panel">
              <Empty
                icon={<PolicyIcon size={36} />}
                title="No roll-outs"
                action={<ButtonLink to="/policies">Policies</ButtonLink>}
              >
                A policy's page begins one.
              </Empty>
            </div>
          ) : (
            items.map((r) => (
              <div key={r.id} style={{ marginBottom: "0.75rem" }}>
                <RolloutBoard rollout={r} />
              </div>
            ))
          )
        }
      </Loaded>
    </Page>
  );
}
