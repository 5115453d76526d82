import { Badge, Button, Group, Modal, Stack, Text, Textarea } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { differenceQuery, useRollBack, versionsQuery } from "../../api/policies.ts";
import type { Policy, PolicyVersion } from "../../api/policyTypes.ts";
import { notifyDone } from "../../ui/notify.ts";
import { Empty, ErrorPanel, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { Differences } from "./Differences.tsx";

/** The versions of a policy, the newest first: who, when, why, and what changed. */
export function VersionsPart({ policy, mayManage }: { policy: Policy; mayManage: boolean }) {
  const query = useQuery(versionsQuery(policy.id));
  const [seen, setSeen] = useState<PolicyVersion | null>(null);
  const [back, setBack] = useState<PolicyVersion | null>(null);
  return (
    <div className="panel panel-pad">
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Not published yet">The first version comes about when a draft is published.</Empty>
          ) : (
            <ol className="versions" reversed>
              {items.map((v) => (
                <li key={v.number}>
                  <Group justify="space-between" align="flex-start" wrap="nowrap">
                    <div style={{ minWidth: 0 }}>
                      <Group gap="xs">
                        <Text fw={600}>Version {v.number}</Text>
                        {v.number === policy.live && (
                          <Badge size="sm" variant="light">
                            In force
                          </Badge>
                        )}
                      </Group>
                      <Text size="sm" c="dimmed">
                        {v.author}, <Time at={v.at} />
                      </Text>
                      {v.note && <Text className="wrap-anywhere">{v.note}</Text>}
                    </div>
                    <Group gap="xs">
                      <Button size="compact-sm" variant="default" onClick={() => setSeen(v)}>
                        Changes
                      </Button>
                      {mayManage && v.number !== policy.live && (
                        <Button size="compact-sm" variant="default" onClick={() => setBack(v)}>
                          Put in force…
                        </Button>
                      )}
                    </Group>
                  </Group>
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
      <Modal
        opened={seen !== null}
        onClose={() => setSeen(null)}
        size="lg"
        title={<Text fw={650}>What version {seen?.number} changed</Text>}
      >
        {seen && <VersionChanges policy={policy} version={seen.number} />}
      </Modal>
      <Modal
        opened={back !== null}
        onClose={() => setBack(null)}
        size="lg"
        title={<Text fw={650}>Put version {back?.number} in force again</Text>}
      >
        {back && <RollBack policy={policy} version={back.number} onClose={() => setBack(null)} />}
      </Modal>
    </div>
  );
}

function VersionChanges({ policy, version }: { policy: Policy; version: number }) {
  const query = useQuery(differenceQuery(policy.id, version - 1, version, 0));
  return <Loaded query={query}>{({ items }) => <Differences items={items} />}</Loaded>;
}

function RollBack({ policy, version, onClose }: { policy: Policy; version: number; onClose: () => void }) {
  const [note, setNote] = useState("");
  const query = useQuery(differenceQuery(policy.id, policy.live, version, policy.revision));
  const rollBack = useRollBack(policy.id, policy.revision);
  return (
    <Stack>
      <Loaded query={query}>{({ items }) => <Differences items={items} />}</Loaded>
      <Textarea
        label="Note"
        description="Why, for colleagues and auditors."
        value={note}
        onChange={(e) => setNote(e.currentTarget.value)}
        maxLength={2000}
        data-autofocus
      />
      {rollBack.error && <ErrorPanel error={rollBack.error} title="That did not work" />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button
          loading={rollBack.isPending}
          onClick={() =>
            rollBack.mutate(
              { version, note },
              {
                onSuccess: () => {
                  notifyDone(`What version ${version} says is in force again.`);
                  onClose();
                },
              },
            )
          }
        >
          Put in force
        </Button>
      </Group>
    </Stack>
  );
}
