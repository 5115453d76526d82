import { Badge, Group, Progress, Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { bulksQuery } from "../../api/commands.ts";
import type { Bulk } from "../../api/types.ts";
import { commandKindWords, commandStates, commandStateWords } from "../../ui/commandWords.tsx";
import { CommandIcon } from "../../ui/icons.tsx";
import { ListPage } from "../../ui/ListPage.tsx";
import { ButtonLink, RowLink } from "../../ui/links.tsx";
import type { Column } from "../../ui/RowTable.tsx";
import { Empty } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";

/** What devices were told to do, newest first, with the progress of each order. */
export function CommandsPage() {
  const query = useInfiniteQuery(bulksQuery);
  const rows = query.data?.pages.flatMap((p) => p.items) ?? [];
  return (
    <ListPage
      title="Commands"
      lead="What devices were told to do, and how far it has come."
      actions={
        <ButtonLink to="/scripts" variant="default">
          Script library
        </ButtonLink>
      }
      label="Orders"
      query={query}
      rows={rows}
      columns={columns}
      rowKey={(b) => b.id}
      empty={
        <Empty
          icon={<CommandIcon size={36} />}
          title="No commands yet"
          action={<ButtonLink to="/devices">Choose devices</ButtonLink>}
        >
          Restart devices, show their users a message, run a script: on one device, on those you choose in the
          list, or on a whole group or label. How far it has come is shown here.
        </Empty>
      }
    />
  );
}

const columns: Column<Bulk>[] = [
  {
    key: "what",
    header: "Order",
    render: (b) => (
      <>
        <RowLink to="/commands/$bulkId" params={{ bulkId: b.id }}>
          {commandKindWords(b.kind)}: {b.target}
        </RowLink>
        {b.note && <span className="one-line quiet">{b.note}</span>}
      </>
    ),
  },
  { key: "progress", header: "Progress", width: "34%", render: (b) => <BulkProgress bulk={b} /> },
  {
    key: "by",
    header: "By",
    width: "16%",
    wide: true,
    render: (b) => <span className="one-line">{b.by_name}</span>,
  },
  {
    key: "when",
    header: "When",
    width: "8rem",
    wide: true,
    render: (b) => (
      <span className="above-link">
        <Time at={b.created_at} />
      </span>
    ),
  },
];

const colors: Record<string, string> = {
  succeeded: "green.7",
  failed: "red.7",
  sent: "rail",
  queued: "gray.5",
  held: "yellow.6",
};

/** How many devices of an order are where, as a bar and in words. */
export function BulkProgress({ bulk }: { bulk: Bulk }) {
  const total = Object.values(bulk.counts).reduce((a, b) => a + b, 0);
  const shown = commandStates.filter((s) => (bulk.counts[s] ?? 0) > 0);
  return (
    <div>
      <Progress.Root size="sm" aria-hidden="true">
        {shown.map((s) => (
          <Progress.Section
            key={s}
            value={((bulk.counts[s] ?? 0) / Math.max(1, total)) * 100}
            color={colors[s] ?? "gray.4"}
          />
        ))}
      </Progress.Root>
      <Group gap="xs" mt={2}>
        <Text size="sm" c="dimmed">
          {shown
            .map((s) => `${(bulk.counts[s] ?? 0).toLocaleString("en")} ${commandStateWords(s).toLowerCase()}`)
            .join(", ")}
        </Text>
        {bulk.approval === "needed" && (
          <Badge size="sm" color="yellow" variant="light">
            Needs approval
          </Badge>
        )}
      </Group>
    </div>
  );
}
