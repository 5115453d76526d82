import { Button, Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { isNotFound } from "../../api/client.ts";
import { bulkQuery, useSteerBulk } from "../../api/commands.ts";
import { useMe } from "../../api/me.ts";
import type { Bulk, CommandState } from "../../api/types.ts";
import { CommandRows } from "../../ui/CommandRows.tsx";
import { commandKindWords, commandStates, commandStateWords } from "../../ui/commandWords.tsx";
import { CommandIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty, ErrorPanel, SkeletonRows } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { BulkProgress } from "./CommandsPage.tsx";

/** One order: its progress board, and every device's own result. */
export function BulkPage({ id }: { id: string }) {
  const query = useQuery(bulkQuery(id));
  if (query.data) return <BulkContent bulk={query.data} />;
  return (
    <Page title={query.isError ? "Order" : "Loading"} above={<Back />}>
      {isNotFound(query.error) ? (
        <div className="panel">
          <Empty
            icon={<CommandIcon size={36} />}
            title="This order is not here"
            action={<ButtonLink to="/commands">All orders</ButtonLink>}
          >
            Orders are forgotten some time after they are over; the audit log keeps them.
          </Empty>
        </div>
      ) : query.isError ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <SkeletonRows />
      )}
    </Page>
  );
}

function Back() {
  return (
    <PageLink to="/commands" size="sm" c="dimmed">
      ← Commands
    </PageLink>
  );
}

function BulkContent({ bulk }: { bulk: Bulk }) {
  const me = useMe();
  const steer = useSteerBulk(bulk.id);
  const [state, setState] = useState<CommandState | null>(null);
  const mayRun = may(me, "command.run");
  return (
    <Page
      title={`${commandKindWords(bulk.kind)}: ${bulk.target}`}
      above={<Back />}
      lead={
        <>
          {bulk.by_name}, <Time at={bulk.created_at} />
          {bulk.note && ` · ${bulk.note}`}
        </>
      }
      actions={
        mayRun && (
          <>
            {bulk.approval === "needed" && bulk.by !== me.id && (
              <Button loading={steer.isPending} onClick={() => steer.mutate("approve")}>
                Approve
              </Button>
            )}
            {bulk.open > 0 && (
              <Button variant="default" loading={steer.isPending} onClick={() => steer.mutate("cancel")}>
                Cancel what is not over
              </Button>
            )}
          </>
        )
      }
    >
      {steer.error && <ErrorPanel error={steer.error} title="That did not work" />}
      <div className="panel panel-pad" style={{ marginBottom: "0.75rem" }}>
        <BulkProgress bulk={bulk} />
      </div>
      <Select
        aria-label="State"
        placeholder="Any state"
        clearable
        mb="sm"
        maw={260}
        data={commandStates.map((s) => ({ value: s, label: commandStateWords(s) }))}
        value={state}
        onChange={(v) => setState(v as CommandState | null)}
      />
      <CommandRows filter={{ bulk: bulk.id, state: state ?? undefined }} withDevice />
    </Page>
  );
}
