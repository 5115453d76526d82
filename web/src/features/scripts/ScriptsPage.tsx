import { Badge, Group } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { scriptsQuery } from "../../api/commands.ts";
import { useMe } from "../../api/me.ts";
import type { Script } from "../../api/types.ts";
import { CommandIcon } from "../../ui/icons.tsx";
import { ListPage } from "../../ui/ListPage.tsx";
import { ButtonLink, PageLink, RowLink } from "../../ui/links.tsx";
import { may } from "../../ui/permissions.ts";
import type { Column } from "../../ui/RowTable.tsx";
import { Empty } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";

/** The library of scripts that may be run on devices. */
export function ScriptsPage() {
  const me = useMe();
  const query = useQuery(scriptsQuery);
  const create = may(me, "script.manage") && <ButtonLink to="/scripts/new">New script</ButtonLink>;
  return (
    <ListPage
      title="Scripts"
      lead="What may be run on devices. A version never changes once it is saved."
      above={
        <PageLink to="/commands" size="sm" c="dimmed">
          ← Commands
        </PageLink>
      }
      actions={create}
      label="Scripts"
      query={query}
      rows={query.data?.items ?? []}
      columns={columns}
      rowKey={(s) => s.id}
      empty={
        <Empty icon={<CommandIcon size={36} />} title="No scripts yet" action={create}>
          A script in the library has parameters with types, versions and a time limit.
        </Empty>
      }
    />
  );
}

const columns: Column<Script>[] = [
  {
    key: "name",
    header: "Name",
    render: (s) => (
      <>
        <RowLink to="/scripts/$scriptId" params={{ scriptId: s.id }}>
          {s.name}
        </RowLink>
        {s.description && <span className="one-line quiet">{s.description}</span>}
      </>
    ),
  },
  {
    key: "version",
    header: "Version",
    width: "12rem",
    render: (s) => (
      <Group gap="xs">
        {s.shipped ? (
          <Badge size="sm" variant="light">
            Comes with Handrail
          </Badge>
        ) : (
          s.newest
        )}
        {s.archived_at && (
          <Badge size="sm" variant="default">
            Archived
          </Badge>
        )}
      </Group>
    ),
  },
  {
    key: "changed",
    header: "Changed",
    width: "9rem",
    wide: true,
    render: (s) => <span className="above-link">{!s.shipped && <Time at={s.changed_at} />}</span>,
  },
];
