import { Button, Group, Skeleton, Stack, Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { isNotFound } from "../../api/client.ts";
import { scriptQuery, useAddScriptVersion, useChangeScript, useCreateScript } from "../../api/commands.ts";
import { useMe } from "../../api/me.ts";
import type { ScriptDetail } from "../../api/types.ts";
import { CommandIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { notifyDone, notifyFailed } from "../../ui/notify.ts";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty, ErrorPanel, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { ScriptForm } from "./ScriptForm.tsx";

function Back() {
  return (
    <PageLink to="/scripts" size="sm" c="dimmed">
      ← Scripts
    </PageLink>
  );
}

/** A script that is not in the library yet; with `from`, a copy of one that is. */
export function NewScriptPage({ from }: { from: string | undefined }) {
  return from ? (
    <CopyOf id={from} />
  ) : (
    <Page title="New script" above={<Back />} narrow>
      <NewScriptForm />
    </Page>
  );
}

function CopyOf({ id }: { id: string }) {
  const query = useQuery(scriptQuery(id));
  return (
    <Page title="New script" above={<Back />} narrow>
      <Loaded query={query}>{(s) => <NewScriptForm original={s} />}</Loaded>
    </Page>
  );
}

function NewScriptForm({ original }: { original?: ScriptDetail }) {
  const navigate = useNavigate();
  const create = useCreateScript();
  return (
    <ScriptForm
      version={original?.versions[0]}
      name={original && `Copy of ${original.name}`}
      description={original?.description}
      verb="Add to the library"
      busy={create.isPending}
      error={create.error}
      onSubmit={({ name, description, ...content }) =>
        create.mutate(
          { name, description, ...content },
          {
            onSuccess: (s) => void navigate({ to: "/scripts/$scriptId", params: { scriptId: s.id } }),
          },
        )
      }
    />
  );
}

/** One script: its text and parameters, and the versions before. */
export function ScriptPage({ id }: { id: string }) {
  const query = useQuery(scriptQuery(id));
  if (query.data) return <ScriptContent key={query.data.newest} script={query.data} />;
  return (
    <Page title="Script" above={<Back />}>
      {isNotFound(query.error) ? (
        <div className="panel">
          <Empty
            icon={<CommandIcon size={36} />}
            title="This script is not here"
            action={<ButtonLink to="/scripts">All scripts</ButtonLink>}
          />
        </div>
      ) : query.isError ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <Skeleton height={240} />
      )}
    </Page>
  );
}

function ScriptContent({ script }: { script: ScriptDetail }) {
  const me = useMe();
  const add = useAddScriptVersion(script.id);
  const change = useChangeScript(script.id);
  const mayAdd = may(me, "script.manage");
  const mayManage = mayAdd && !script.shipped;
  const newest = script.versions[0];
  return (
    <Page
      title={script.name}
      above={<Back />}
      lead={script.description}
      actions={
        <>
          {mayAdd && (
            <ButtonLink to="/scripts/new" search={{ from: script.id }} variant="default">
              Copy
            </ButtonLink>
          )}
          {mayManage && (
            <Button
              variant="default"
              loading={change.isPending}
              onClick={() =>
                change.mutate(
                  { archived: !script.archived_at },
                  { onError: (e) => notifyFailed("That did not work", e) },
                )
              }
            >
              {script.archived_at ? "Take out of the archive" : "Archive"}
            </Button>
          )}
        </>
      }
    >
      {script.shipped && (
        <Text mb="md">
          This script comes with Handrail and cannot be changed. Copy it to make it your own.
        </Text>
      )}
      <Tabs defaultValue="newest" keepMounted={false}>
        <Tabs.List mb="md">
          <Tabs.Tab value="newest">Version {script.newest}</Tabs.Tab>
          <Tabs.Tab value="versions">All versions · {script.versions.length}</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="newest">
          {newest && (
            <ScriptForm
              version={newest}
              name={script.name}
              description={script.description}
              readOnly={!mayManage}
              verb={`Save as version ${script.newest + 1}`}
              busy={add.isPending}
              error={add.error}
              onSubmit={({ name, description, ...content }) => {
                if (name !== script.name || description !== script.description) {
                  change.mutate({ name, description });
                }
                add.mutate(
                  { base: script.newest, ...content },
                  { onSuccess: () => notifyDone(`Version ${script.newest + 1} is saved.`) },
                );
              }}
            />
          )}
        </Tabs.Panel>
        <Tabs.Panel value="versions">
          <ol className="versions" reversed>
            {script.versions.map((v) => (
              <li key={v.number}>
                <Stack gap={4}>
                  <Group gap="sm">
                    <Text fw={600}>Version {v.number}</Text>
                    <Text size="sm" c="dimmed">
                      {v.by_name}, <Time at={v.created_at} />
                    </Text>
                  </Group>
                  {v.note && <Text>{v.note}</Text>}
                  <details>
                    <summary>Text</summary>
                    <pre className="output">{v.body}</pre>
                  </details>
                </Stack>
              </li>
            ))}
          </ol>
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}
