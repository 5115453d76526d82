import { Alert, Button, Group, Modal, Stack, Text, Textarea, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { isOutdated } from "../../api/client.ts";
import { differenceQuery, usePublish, useWhatIf } from "../../api/policies.ts";
import type { Policy, RolloutPlan } from "../../api/types.ts";
import { notifyDone } from "../../ui/notify.ts";
import { ErrorPanel, Loaded } from "../../ui/states.tsx";
import { Differences } from "./Differences.tsx";
import { PlanFields } from "./PlanFields.tsx";
import { WhatIfPanel } from "./WhatIfPanel.tsx";

interface PublishDialogProps {
  policy: Policy;
  opened: boolean;
  onClose: () => void;
}

/** What the draft changes, for whom, and the last word before it is a version. */
export function PublishDialog({ policy, opened, onClose }: PublishDialogProps) {
  return (
    <Modal opened={opened} onClose={onClose} size="lg" title={<Text fw={650}>Publish {policy.name}</Text>}>
      {policy.draft && <Content policy={policy} onClose={onClose} />}
    </Modal>
  );
}

function Content({ policy, onClose }: { policy: Policy; onClose: () => void }) {
  const [note, setNote] = useState("");
  const [plan, setPlan] = useState<RolloutPlan | undefined>(undefined);
  const publish = usePublish(policy.id);
  const difference = useQuery({
    ...differenceQuery(policy.id, policy.live, "draft", policy.revision),
    enabled: !publish.isPending && !publish.isSuccess, // what is published is no draft any more
  });
  const { mutate: ask, ...whatIf } = useWhatIf(policy.id);
  useEffect(() => ask({ settings: policy.draft?.settings ?? [] }), [ask, policy.draft]);
  return (
    <Stack>
      <section aria-labelledby="publish-changes">
        <Title order={3} id="publish-changes" mb={4}>
          {policy.live > 0 ? `Changes since version ${policy.live}` : "The first version"}
        </Title>
        <Loaded query={difference}>{({ changes }) => <Differences items={changes} />}</Loaded>
      </section>
      <section aria-labelledby="publish-effect">
        <Title order={3} id="publish-effect" mb={4}>
          What happens
        </Title>
        {policy.assignments.length === 0 && (
          <Alert color="yellow" variant="light" mb="xs">
            This policy is assigned to nobody yet, so no device changes. Assign it to groups or labels
            afterwards; that shows its effect too.
          </Alert>
        )}
        <WhatIfPanel result={whatIf.data} error={whatIf.error} busy={whatIf.isPending} />
      </section>
      <Textarea
        label="Note"
        description="Why, for colleagues and auditors."
        value={note}
        onChange={(e) => setNote(e.currentTarget.value)}
        maxLength={2000}
        autosize
        minRows={2}
        data-autofocus
      />
      <PlanFields plan={plan} onChange={setPlan} />
      {publish.error && (
        <ErrorPanel
          error={publish.error}
          title={
            isOutdated(publish.error)
              ? "Somebody else has changed this policy meanwhile; look at it again"
              : "It was not published"
          }
        />
      )}
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button
          loading={publish.isPending}
          onClick={() =>
            publish.mutate(
              { note, revision: policy.revision, ...(plan ? { rollout: plan } : {}) },
              {
                onSuccess: (p) => {
                  notifyDone(
                    plan
                      ? `Version ${p.newest} is on its way, in stages.`
                      : `Version ${p.newest} is published.`,
                  );
                  onClose();
                },
              },
            )
          }
        >
          Publish version {policy.newest + 1}
        </Button>
      </Group>
    </Stack>
  );
}
