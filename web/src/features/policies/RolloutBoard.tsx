import { Alert, Anchor, Button, Group, Progress, Text, Title } from "@mantine/core";
import { useId, useState } from "react";
import { sentence } from "../../api/client.ts";
import { useSteerRollout } from "../../api/policies.ts";
import type { Rollout } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { PageLink } from "../../ui/links.tsx";
import { Mark } from "../../ui/marks.tsx";
import { ErrorPanel } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords, durationWords } from "../../ui/words.ts";
import { RolloutDevices, type RolloutState } from "./RolloutDevices.tsx";

const words: Record<Rollout["state"], { text: string; color: string }> = {
  running: { text: "Running", color: "var(--mantine-primary-color-filled)" },
  paused: { text: "Paused", color: "var(--handrail-warn)" },
  returned: { text: "Stopped and returned", color: "var(--handrail-bad)" },
  done: { text: "Done", color: "var(--handrail-good)" },
};

/** How far a roll-out has come, ring by ring, and the levers to steer it. */
export function RolloutBoard({ rollout: r }: { rollout: Rollout }) {
  const steer = useSteerRollout(r.id);
  const [asked, setAsked] = useState<"next" | "stop" | null>(null);
  const [listed, setListed] = useState<RolloutState | null>(null);
  const id = useId();
  const state = words[r.state];
  const isOpen = r.state === "running" || r.state === "paused";
  const lever = (verb: "pause" | "resume" | "next" | "stop", label: string) => (
    <Button size="compact-sm" variant="default" loading={steer.isPending} onClick={() => steer.mutate(verb)}>
      {label}
    </Button>
  );
  const asking = (verb: "next" | "stop", label: string) => (
    <Button
      size="compact-sm"
      variant="default"
      onClick={() => {
        steer.reset();
        setAsked(verb);
      }}
    >
      {label}
    </Button>
  );
  return (
    <section className="panel panel-pad" aria-labelledby={id}>
      <Group justify="space-between" mb="xs">
        <Group gap="xs">
          <Title order={2} id={id}>
            <PageLink
              to="/policies/$policyId"
              params={{ policyId: r.policy_id }}
              search={{ tab: "rollouts" }}
              underline="always"
              inherit
            >
              {r.policy_name}
            </PageLink>
            {r.from > 0 ? `: version ${r.from} to ${r.to}` : `: version ${r.to}, the first`}
          </Title>
          <Mark color={state.color}>{state.text}</Mark>
        </Group>
        {r.may_manage && isOpen && (
          <Group gap="xs">
            {r.state === "paused" ? lever("resume", "Resume") : lever("pause", "Pause")}
            {asking("next", "Next stage now…")}
            {asking("stop", "Stop and return…")}
          </Group>
        )}
      </Group>
      <Text size="sm" c="dimmed" mb="sm">
        {r.by}, <Time at={r.created_at} />. Returns by itself when more than {r.plan.max_failed_percent} % of
        the devices reached fail.
        {r.next_at && isOpen && (
          <>
            {" "}
            This stage ends <Time at={r.next_at} />.
          </>
        )}
      </Text>
      {r.reason && (
        <Alert color="red" variant="light" mb="sm" title="Why it returned">
          {sentence(r.reason)}
        </Alert>
      )}
      {steer.error && !asked && <ErrorPanel error={steer.error} title="That did not work" />}
      {r.progress.total > 0 ? (
        <>
          <Progress.Root size="md" mb={4} aria-hidden="true">
            <Progress.Section value={share(r.progress.applied, r.progress.total)} color="green.7" />
            <Progress.Section value={share(r.progress.failed, r.progress.total)} color="red.7" />
            <Progress.Section value={share(r.progress.pending, r.progress.total)} color="yellow.6" />
          </Progress.Root>
          <Text size="sm" role="status" component="div">
            {r.progress.devices.toLocaleString("en")} of {countWords(r.progress.total, "device")} reached:{" "}
            {(["applied", "pending", "failed"] as const).map((state, i) => (
              <span key={state}>
                {i > 0 && ", "}
                {isOpen && r.progress[state] > 0 ? (
                  <Anchor
                    component="button"
                    type="button"
                    size="sm"
                    underline="always"
                    aria-expanded={listed === state}
                    aria-controls={`${id}-devices`}
                    onClick={() => setListed(listed === state ? null : state)}
                  >
                    {r.progress[state].toLocaleString("en")} {state}
                  </Anchor>
                ) : (
                  // What is over is not how the devices stand today.
                  `${r.progress[state].toLocaleString("en")} ${state}`
                )}
              </span>
            ))}
            {(r.progress.conflict ?? 0) > 0 &&
              `, of which ${r.progress.conflict?.toLocaleString("en")} because it contradicts other policies`}
            .
          </Text>
          {isOpen && listed && <RolloutDevices id={`${id}-devices`} rollout={r.id} state={listed} />}
        </>
      ) : (
        <Text size="sm" c="dimmed" role="status">
          {isOpen ? "No device is reached yet." : "It reached no device."}
        </Text>
      )}
      <ol className="stages" aria-label="Stages">
        {r.plan.stages.map((s, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: stages have no other name than their place
          <li key={i} aria-current={isOpen && i === r.stage ? "step" : undefined}>
            <Stage rollout={r} at={i} percent={s.percent} soakSeconds={s.soak_seconds} />
          </li>
        ))}
      </ol>
      <Asked
        rollout={r}
        asked={asked}
        busy={steer.isPending}
        error={steer.error}
        onClose={() => setAsked(null)}
        onConfirm={(verb) => steer.mutate(verb, { onSuccess: () => setAsked(null) })}
      />
    </section>
  );
}

interface AskedProps {
  rollout: Rollout;
  asked: "next" | "stop" | null;
  busy: boolean;
  error: unknown;
  onClose: () => void;
  onConfirm: (verb: "next" | "stop") => void;
}

/** What reaches many devices at once is asked once more, with what will happen. */
function Asked({ rollout: r, asked, busy, error, onClose, onConfirm }: AskedProps) {
  const next = r.plan.stages[r.stage + 1]?.percent;
  const now = r.plan.stages[r.stage]?.percent;
  const stop = asked === "stop";
  return (
    <Confirm
      opened={asked !== null}
      title={stop ? `Stop the roll-out of ${r.policy_name}?` : "Go on to the next stage now?"}
      verb={stop ? "Stop and return" : "Go on now"}
      busy={busy}
      error={error}
      onClose={onClose}
      onConfirm={() => asked && onConfirm(asked)}
    >
      {stop
        ? r.from > 0
          ? `Version ${r.to} is taken off the devices it has reached, and they return to version ${r.from}. This roll-out cannot be resumed.`
          : `Version ${r.to} is taken off the devices it has reached; there is no earlier one. This roll-out cannot be resumed.`
        : next !== undefined
          ? `Version ${r.to} goes from ${now} % to ${next} % of the devices at once, without waiting to see how this stage goes.`
          : "This is the last stage: the roll-out is done then."}
    </Confirm>
  );
}

/** One stage: which share of the devices it adds, and how far it has come. */
function Stage({
  rollout: r,
  at,
  percent,
  soakSeconds,
}: {
  rollout: Rollout;
  at: number;
  percent: number;
  soakSeconds: number;
}) {
  const from = r.plan.stages[at - 1]?.percent ?? 0;
  const isOver = at < r.stage || r.state === "done";
  const isNow = at === r.stage && (r.state === "running" || r.state === "paused");
  const isLast = at === r.stage && r.state === "returned";
  const reached = share(r.progress.devices, r.progress.total);
  const value = isOver
    ? 100
    : isNow || isLast
      ? Math.min(100, Math.max(0, share(reached - from, percent - from)))
      : 0;
  const state = isOver
    ? "Done"
    : isNow
      ? r.state === "paused"
        ? "Paused"
        : "Now"
      : isLast
        ? "Stopped here"
        : "Not begun";
  return (
    <>
      <Group justify="space-between" gap={6} wrap="nowrap">
        <Text size="sm" fw={isNow ? 650 : 450} c={isOver || isNow ? "" : "dimmed"}>
          {percent} %
        </Text>
        <Text size="sm" c="dimmed">
          {state}
        </Text>
      </Group>
      <Progress
        size="sm"
        value={value}
        color={isOver ? "green.7" : isLast ? "red.7" : "rail"}
        aria-hidden="true"
      />
      {soakSeconds > 0 && (
        <Text size="xs" c="dimmed" mt={2}>
          then wait {durationWords(soakSeconds * 1000)}
        </Text>
      )}
    </>
  );
}

const share = (part: number, of: number) => (of > 0 ? (part / of) * 100 : 0);
