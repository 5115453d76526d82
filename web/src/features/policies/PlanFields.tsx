import { NumberInput, SegmentedControl, Select, Stack, Text } from "@mantine/core";
import { useState } from "react";
import type { RolloutPlan } from "../../api/types.ts";

const steps = [
  { value: "5,25,100", label: "5 %, then 25 %, then all" },
  { value: "1,10,50,100", label: "1 %, 10 %, half, all" },
  { value: "10,100", label: "10 %, then all" },
];

const first = steps[0]?.value ?? "100";

/** The plan in words, made of the choices below. */
function planOf(choice: string, minutes: number, budget: number): RolloutPlan {
  return {
    stages: choice.split(",").map((p) => ({
      percent: Number(p),
      soak_seconds: p === "100" ? 0 : Math.round(minutes * 60),
    })),
    max_failed_percent: budget,
  };
}

/** Whether a version reaches all devices at once or in stages, and how. Undefined: at once. */
export function PlanFields({
  plan,
  onChange,
}: {
  plan: RolloutPlan | undefined;
  onChange: (plan: RolloutPlan | undefined) => void;
}) {
  const [choice, setChoice] = useState(first);
  const [minutes, setMinutes] = useState(60);
  const [budget, setBudget] = useState(5);
  return (
    <Stack gap="xs">
      <SegmentedControl
        aria-label="How it reaches devices"
        value={plan ? "stages" : "once"}
        onChange={(v) => onChange(v === "stages" ? planOf(choice, minutes, budget) : undefined)}
        data={[
          { value: "once", label: "All devices at once" },
          { value: "stages", label: "In stages" },
        ]}
      />
      {plan && (
        <>
          <Text size="sm" c="dimmed">
            A few devices first, always the same ones; the rest only while they stay well. Otherwise devices
            return to the version before by themselves.
          </Text>
          <Select
            label="Stages"
            allowDeselect={false}
            data={steps}
            value={choice}
            onChange={(v) => {
              if (!v) return;
              setChoice(v);
              onChange(planOf(v, minutes, budget));
            }}
          />
          <NumberInput
            label="Wait after each stage"
            min={0}
            max={43_200}
            suffix=" minutes"
            value={minutes}
            onChange={(v) => {
              if (typeof v !== "number") return;
              setMinutes(v);
              onChange(planOf(choice, v, budget));
            }}
          />
          <NumberInput
            label="Stop and return when more than this fail"
            min={0}
            max={100}
            suffix=" %"
            value={budget}
            onChange={(v) => {
              if (typeof v !== "number") return;
              setBudget(v);
              onChange(planOf(choice, minutes, v));
            }}
          />
        </>
      )}
    </Stack>
  );
}
