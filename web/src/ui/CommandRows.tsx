import { Button, Code, Group, Modal, Skeleton, Stack, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { sentence } from "../api/client.ts";
import { type CommandFilter, commandQuery, commandsQuery, useCancelCommand } from "../api/commands.ts";
import type { Command } from "../api/types.ts";
import { CommandMark, commandKindWords, isOver } from "./commandWords.tsx";
import { CommandIcon } from "./icons.tsx";
import { PageLink } from "./links.tsx";
import { type Column, RowTable } from "./RowTable.tsx";
import { Empty, ErrorPanel, SkeletonRows } from "./states.tsx";
import { Time } from "./Time.tsx";
import { sizeWords } from "./words.ts";

/** Commands of a device or of an order, newest first; each opens with its output. */
export function CommandRows({ filter, withDevice }: { filter: CommandFilter; withDevice: boolean }) {
  const query = useInfiniteQuery(commandsQuery(filter));
  const rows = query.data?.pages.flatMap((p) => p.items) ?? [];
  const [open, setOpen] = useState<string | null>(null);
  const columns = useMemo<Column<Command>[]>(
    () => [
      {
        key: "what",
        header: withDevice ? "Device" : "Command",
        render: (c) => (
          <button type="button" className="row-link text-button one-line" onClick={() => setOpen(c.id)}>
            {withDevice ? c.device_name : commandKindWords(c.kind)}
          </button>
        ),
      },
      { key: "state", header: "State", width: "12rem", render: (c) => <CommandMark state={c.state} /> },
      {
        key: "message",
        header: "What came of it",
        wide: true,
        render: (c) => <span className="one-line quiet">{outcomeWords(c)}</span>,
      },
      {
        key: "when",
        header: "When",
        width: "9rem",
        wide: true,
        render: (c) => (
          <span className="above-link">
            <Time at={c.finished_at ?? c.created_at} />
          </span>
        ),
      },
    ],
    [withDevice],
  );
  return (
    <div className="panel" aria-busy={query.isFetching && !query.isFetchingNextPage}>
      {query.isPending ? (
        <SkeletonRows rows={4} />
      ) : rows.length > 0 ? (
        <RowTable
          label="Commands"
          columns={columns}
          rows={rows}
          rowKey={(c) => c.id}
          hasMore={query.hasNextPage}
          loadingMore={query.isFetchingNextPage}
          loadMoreError={query.isFetchNextPageError ? query.error : undefined}
          onMore={query.fetchNextPage}
        />
      ) : query.isError ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <Empty icon={<CommandIcon size={36} />} title="No commands yet" />
      )}
      <Modal
        opened={open !== null}
        onClose={() => setOpen(null)}
        size="xl"
        title={<Text fw={650}>Command</Text>}
      >
        {open && <CommandResult id={open} />}
      </Modal>
    </div>
  );
}

/** What came of it; while a message waits, what for. */
function outcomeWords(c: Pick<Command, "kind" | "state" | "message">): string {
  if (c.message) return sentence(c.message);
  return c.kind === "message" && c.state === "sent" ? "It is shown once somebody is at the screen." : "";
}

function CommandResult({ id }: { id: string }) {
  const query = useQuery(commandQuery(id));
  const cancel = useCancelCommand(id);
  const c = query.data;
  if (query.isError && !c) return <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />;
  if (!c) return <Skeleton height={180} />;
  return (
    <Stack>
      <dl className="facts">
        <dt>Command</dt>
        <dd>{commandKindWords(c.kind)}</dd>
        <dt>Device</dt>
        <dd>
          <PageLink to="/devices/$deviceId" params={{ deviceId: c.device_id }}>
            {c.device_name}
          </PageLink>
        </dd>
        <dt>State</dt>
        <dd>
          <CommandMark state={c.state} />
          {outcomeWords(c) && <div className="wrap-anywhere">{outcomeWords(c)}</div>}
        </dd>
        <dt>Ordered</dt>
        <dd>
          {c.bulk.by_name}, <Time at={c.created_at} />
          {c.bulk.note && <div className="wrap-anywhere">{c.bulk.note}</div>}
        </dd>
        {c.started_at && (
          <>
            <dt>Ran</dt>
            <dd>
              <Time at={c.started_at} />
              {c.exit_code !== undefined && `, exit code ${c.exit_code}`}
            </dd>
          </>
        )}
        {!isOver(c.state) && (
          <>
            <dt>Expires</dt>
            <dd>
              <Time at={c.expires_at} />
            </dd>
          </>
        )}
      </dl>
      {c.has_output && (
        <div>
          <Text fw={550} mb={4}>
            Output{c.output_bytes > 0 && `, ${sizeWords(c.output_bytes)}`}
          </Text>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keyboard */}
          <section className="output" tabIndex={0} aria-label="Output">
            <Code block>{c.output || "Your role does not show the output."}</Code>
          </section>
        </div>
      )}
      {c.bundle_bytes > 0 && (
        <Button component="a" href={`/api/commands/${c.id}/bundle`} download variant="default">
          Download the logs, {sizeWords(c.bundle_bytes)}
        </Button>
      )}
      {cancel.error && <ErrorPanel error={cancel.error} title="It was not cancelled" />}
      {!isOver(c.state) && (
        <Group justify="flex-end">
          <Button variant="default" loading={cancel.isPending} onClick={() => cancel.mutate(undefined)}>
            Cancel the command
          </Button>
        </Group>
      )}
    </Stack>
  );
}
