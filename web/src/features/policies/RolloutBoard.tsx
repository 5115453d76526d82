import { Alert, Badge, Button, Group, Progress, Stack, Text, Title } from "@mantine/core";
import { useId } from "react";
import { useSteerRollout } from "../../api/policies.ts";
import type { Rollout } from "../../api/policyTypes.ts";
import { PageLink } from "../../ui/links.tsx";
import { ErrorPanel } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords, durationWords } from "../../ui/words.ts";

const words: Record<string, { text: string; color: string }> = {
  running: { text: "Running", color: "rail" },
  soaking: { text: "Soaking", color: "rail" },
  paused: { text: "Paused", color: "yellow" },
  stopped: { text: "Stopped", color: "red" },
  returned: { text: "Stopped and returned", color: "red" },
  returning: { text: "Returning", color: "red" },
  done: { text: "Done", color: "green" },
};

const open = new Set(["running", "soaking", "paused"]);

/** How far a roll-out has come, ring by ring, and the levers to steer it. */
export function RolloutBoard({ rollout, mayManage }: { rollout: Rollout; mayManage: boolean }) {
  const steer = useSteerRollout(rollout.id);
  const id = useId();
  const state = words[rollout.state] ?? { text: rollout.state, color: "gray" };
  return (
    <section className="panel panel-pad" aria-labelledby={id}>
      <Group justify="space-between" mb="xs">
        <Group gap="xs">
          <Title order={2} id={id}>
            <PageLink to="/policies/$policyId" params={{ policyId: rollout.policy_id }}>
              {rollout.policy_name}
            </PageLink>
            , version {rollout.version}
          </Title>
          <Badge color={state.color} variant="light">
            {state.text}
          </Badge>
        </Group>
        {mayManage && open.has(rollout.state) && (
          <Group gap="xs">
            <Button
              size="compact-sm"
              variant="default"
              loading={steer.isPending}
              onClick={() => steer.mutate(rollout.state === "paused" ? "resume" : "pause")}
            >
              {rollout.state === "paused" ? "Resume" : "Pause"}
            </Button>
            <Button
              size="compact-sm"
              variant="default"
              color="red"
              loading={steer.isPending}
              onClick={() => steer.mutate("stop")}
            >
              Stop and return
            </Button>
          </Group>
        )}
      </Group>
      <Text size="sm" c="dimmed" mb="sm">
        Begun <Time at={rollout.started_at} />. Stops by itself when more than{" "}
        {rollout.failure_budget.percent} % of a ring fail.
        {rollout.next_at && open.has(rollout.state) && (
          <>
            {" "}
            Next step <Time at={rollout.next_at} />.
          </>
        )}
      </Text>
      {rollout.reason && (
        <Alert color="red" variant="light" mb="sm" title="Why it stopped">
          {rollout.reason}
        </Alert>
      )}
      {steer.error && <ErrorPanel error={steer.error} title="That did not work" />}
      <Stack gap="sm" component="ol" style={{ listStyle: "none", margin: 0, padding: 0 }}>
        {rollout.rings.map((r, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: rings have no other name than their place
          <li key={i} aria-current={i === rollout.ring ? "step" : undefined}>
            <Group justify="space-between" gap="xs">
              <Text fw={i === rollout.ring ? 600 : 400}>
                Ring {i + 1}: {r.percent} % of the devices
              </Text>
              <Text size="sm" c="dimmed">
                {r.applied.toLocaleString("en")} of {countWords(r.devices, "device")} applied
                {r.failed > 0 && `, ${r.failed.toLocaleString("en")} failed`}
                {r.soak_seconds > 0 && ` · soaks ${durationWords(r.soak_seconds * 1000)}`}
              </Text>
            </Group>
            <Progress.Root size="sm" mt={4}>
              <Progress.Section
                value={share(r.applied, r.devices)}
                color="rail"
                aria-label={`Ring ${i + 1}: ${r.applied} of ${r.devices} applied`}
              />
              <Progress.Section
                value={share(r.failed, r.devices)}
                color="red.7"
                aria-label={`Ring ${i + 1}: ${r.failed} failed`}
              />
            </Progress.Root>
          </li>
        ))}
      </Stack>
    </section>
  );
}

const share = (part: number, of: number) => (of > 0 ? (part / of) * 100 : 0);
