import { Badge, Button, Group, Modal, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { differenceQuery, useActivate, useWhatIf, versionsQuery } from "../../api/policies.ts";
import type { Policy, PolicyVersion, RolloutPlan } from "../../api/types.ts";
import { notifyDone } from "../../ui/notify.ts";
import { Empty, ErrorPanel, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { Differences } from "./Differences.tsx";
import { PlanFields } from "./PlanFields.tsx";
import { WhatIfPanel } from "./WhatIfPanel.tsx";

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
  return <Loaded query={query}>{({ changes }) => <Differences items={changes} />}</Loaded>;
}

function RollBack({ policy, version, onClose }: { policy: Policy; version: number; onClose: () => void }) {
  const [plan, setPlan] = useState<RolloutPlan | undefined>(undefined);
  const query = useQuery(differenceQuery(policy.id, policy.live, version, policy.revision));
  const activate = useActivate(policy.id, policy.revision);
  const { mutate: ask, ...whatIf } = useWhatIf(policy.id);
  useEffect(() => ask({ version }), [ask, version]);
  return (
    <Stack>
      <section aria-labelledby="back-changes">
        <Title order={3} id="back-changes" mb={4}>
          {policy.live > 0 ? `Changes from version ${policy.live}` : `Version ${version}`}
        </Title>
        <Loaded query={query}>{({ changes }) => <Differences items={changes} />}</Loaded>
      </section>
      <section aria-labelledby="back-effect">
        <Title order={3} id="back-effect" mb={4}>
          What happens
        </Title>
        <WhatIfPanel result={whatIf.data} error={whatIf.error} busy={whatIf.isPending} />
      </section>
      <PlanFields plan={plan} onChange={setPlan} />
      {activate.error && <ErrorPanel error={activate.error} title="That did not work" />}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button
          loading={activate.isPending}
          onClick={() =>
            activate.mutate(
              { version, ...(plan ? { rollout: plan } : {}) },
              {
                onSuccess: () => {
                  notifyDone(`Version ${version} is on its way to the devices.`);
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
