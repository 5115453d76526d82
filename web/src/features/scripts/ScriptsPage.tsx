import { Badge, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { scriptsQuery } from "../../api/commands.ts";
import { useMe } from "../../api/me.ts";
import { CommandIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";

/** The library of scripts that may be run on devices. */
export function ScriptsPage() {
  const me = useMe();
  const query = useQuery(scriptsQuery);
  const create = may(me, "script.manage") && <ButtonLink to="/scripts/new">New script</ButtonLink>;
  return (
    <Page
      title="Scripts"
      lead="What may be run on devices. A version never changes once it is saved."
      above={
        <PageLink to="/commands" size="sm" c="dimmed">
          ← Commands
        </PageLink>
      }
      actions={create}
    >
      <div className="panel">
        <Loaded query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon={<CommandIcon size={36} />} title="No scripts yet" action={create}>
                A script in the library has parameters with types, versions and a time limit.
              </Empty>
            ) : (
              <ul className="bare-list panel-pad">
                {items.map((s) => (
                  <li key={s.id} className="tree-row">
                    <div style={{ flex: 1, minWidth: 0 }}>
                      <Group gap="sm">
                        <PageLink to="/scripts/$scriptId" params={{ scriptId: s.id }} fw={600}>
                          {s.name}
                        </PageLink>
                        <Badge size="sm" variant="default">
                          version {s.newest}
                        </Badge>
                        {s.archived_at && (
                          <Badge size="sm" color="gray">
                            archived
                          </Badge>
                        )}
                      </Group>
                      <Text c="dimmed" size="sm">
                        {s.description && `${s.description} · `}changed <Time at={s.changed_at} />
                      </Text>
                    </div>
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </div>
    </Page>
  );
}
