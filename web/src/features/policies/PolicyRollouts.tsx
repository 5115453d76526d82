import { Button, Group, Modal, NumberInput, Select, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { rolloutsQuery, useStartRollout, versionsQuery } from "../../api/policies.ts";
import type { Policy } from "../../api/policyTypes.ts";
import { notifyDone } from "../../ui/notify.ts";
import { Empty, ErrorPanel, Loaded } from "../../ui/states.tsx";
import { RolloutBoard } from "./RolloutBoard.tsx";

/** The roll-outs of one policy, and the beginning of the next. */
export function PolicyRollouts({ policy, mayManage }: { policy: Policy; mayManage: boolean }) {
  const query = useQuery(rolloutsQuery(policy.id));
  const [starting, setStarting] = useState(false);
  const start = mayManage && policy.newest > 0 && (
    <Button variant="default" onClick={() => setStarting(true)}>
      Roll out in steps…
    </Button>
  );
  return (
    <Stack>
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <div className="panel">
              <Empty title="No roll-outs" action={start}>
                A roll-out brings a version to a few devices first, waits, and goes on only while they stay
                well. Publishing without one reaches all devices at once.
              </Empty>
            </div>
          ) : (
            <>
              <Group justify="flex-end">{start}</Group>
              {items.map((r) => (
                <RolloutBoard key={r.id} rollout={r} mayManage={mayManage} />
              ))}
            </>
          )
        }
      </Loaded>
      <Modal
        opened={starting}
        onClose={() => setStarting(false)}
        title={<Text fw={650}>Roll out in steps</Text>}
      >
        <StartForm policy={policy} onClose={() => setStarting(false)} />
      </Modal>
    </Stack>
  );
}

const plans = [
  { value: "5,25,100", label: "5 %, then 25 %, then all" },
  { value: "1,10,50,100", label: "1 %, 10 %, half, all" },
  { value: "10,100", label: "10 %, then all" },
];

function StartForm({ policy, onClose }: { policy: Policy; onClose: () => void }) {
  const versions = useQuery(versionsQuery(policy.id)).data?.items ?? [];
  const start = useStartRollout(policy.id, policy.revision);
  const [version, setVersion] = useState(String(policy.newest));
  const [plan, setPlan] = useState(plans[0]?.value ?? "100");
  const [soak, setSoak] = useState<number | string>(60);
  const [budget, setBudget] = useState<number | string>(5);
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        start.mutate(
          {
            version: Number(version),
            rings: plan.split(",").map((p) => ({
              percent: Number(p),
              soak_seconds: p === "100" ? 0 : Math.round(Number(soak) * 60),
            })),
            failure_budget: { percent: Number(budget) },
          },
          {
            onSuccess: () => {
              notifyDone("The roll-out has begun.");
              onClose();
            },
          },
        );
      }}
    >
      <Stack>
        <Select
          label="Version"
          allowDeselect={false}
          data={versions.map((v) => ({ value: String(v.number), label: `Version ${v.number}` }))}
          value={version}
          onChange={(v) => v && setVersion(v)}
        />
        <Select
          label="Steps"
          allowDeselect={false}
          data={plans}
          value={plan}
          onChange={(v) => v && setPlan(v)}
        />
        <NumberInput
          label="Wait after each step"
          description="Minutes without trouble before the next step."
          min={0}
          max={20_160}
          suffix=" minutes"
          value={soak}
          onChange={setSoak}
        />
        <NumberInput
          label="Stop when more than this fail"
          description="Then devices return to the version before, by themselves."
          min={0}
          max={100}
          suffix=" %"
          value={budget}
          onChange={setBudget}
        />
        {start.error && <ErrorPanel error={start.error} title="The roll-out did not begin" />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={start.isPending}>
            Begin
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
