import { Button, Group, List, NumberInput, Select, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { ApiError } from "../../api/client.ts";
import { useTryRule } from "../../api/compliance.ts";
import type { ComplianceRule, ComplianceRuleChange, Severity } from "../../api/types.ts";
import {
  ComplianceMark,
  complianceStates,
  complianceWords,
  severityOrder,
  severityWords,
} from "../../ui/complianceWords.tsx";
import { ExpressionProblem, faultIn } from "../../ui/ExpressionProblem.tsx";
import { PageLink } from "../../ui/links.tsx";
import { OvertakenFields } from "../../ui/OvertakenFields.tsx";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";

interface RuleFormProps {
  /** Left out for a new rule. */
  rule?: ComplianceRule;
  busy: boolean;
  error: unknown;
  /** `revision` is that of the rule the change was made from; 0 for a new one. */
  onSubmit: (body: ComplianceRuleChange, revision: number) => void;
  onClose: () => void;
}

/** What the API takes of a rule as it is. */
export function ruleChange(r: ComplianceRule): ComplianceRuleChange {
  const { slug: _s, shipped: _h, revision: _r, changed_at: _c, counts: _n, ...rest } = r;
  return rest;
}

const mono = { input: { fontFamily: "var(--mantine-font-family-monospace)" } };

/** A rule's words and expressions; of one that comes with the program only what may be chosen. */
export function RuleForm({ rule, busy, error, onSubmit, onClose }: RuleFormProps) {
  const [w, setW] = useState<ComplianceRuleChange>(
    rule ? ruleChange(rule) : { title: "", severity: "medium", expression: "", enabled: true },
  );
  const [from, setFrom] = useState(rule);
  const [sent, setSent] = useState<Expressions>();
  const trial = useTryRule();
  const set = (part: Partial<ComplianceRuleChange>) => setW({ ...w, ...part });
  const fixed = rule?.shipped ?? false;
  const said = (field: string) =>
    error instanceof ApiError ? error.fields.find((f) => f.field === field)?.message : undefined;
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        setSent(w);
        onSubmit(w, from?.revision ?? 0);
      }}
    >
      <Stack>
        {rule && from && rule.revision !== from.revision && (
          <OvertakenFields
            of="rule"
            from={ruleChange(from)}
            theirs={ruleChange(rule)}
            mine={w}
            words={fieldWords}
            onGoOn={(fields) => {
              setW(fields);
              setFrom(rule);
            }}
          />
        )}
        {fixed && (
          <Text c="dimmed">
            This rule comes with the program. Its severity and grace are yours to choose; for another
            expression, switch it off and make one of your own.
          </Text>
        )}
        {!fixed && (
          <>
            <TextInput
              label="Title"
              description="As it should be: “Screens lock by themselves”."
              required
              maxLength={160}
              value={w.title}
              error={said("title")}
              onChange={(e) => set({ title: e.currentTarget.value })}
              data-autofocus
            />
            <Textarea
              label="Description"
              maxLength={4000}
              autosize
              value={w.description ?? ""}
              onChange={(e) => set({ description: e.currentTarget.value })}
            />
            <TextInput
              label="Category"
              maxLength={64}
              value={w.category ?? ""}
              onChange={(e) => set({ category: e.currentTarget.value })}
            />
          </>
        )}
        <Group grow align="flex-start">
          <Select
            label="Severity"
            allowDeselect={false}
            data={severityOrder.map((s) => ({ value: s, label: severityWords(s) }))}
            value={w.severity}
            onChange={(v) => v && set({ severity: v as Severity })}
          />
          <NumberInput
            label="Grace"
            description="How long it may be broken before it counts."
            inputWrapperOrder={["label", "input", "description", "error"]}
            min={0}
            max={8760}
            suffix=" hours"
            value={w.grace_hours ?? 0}
            onChange={(v) => typeof v === "number" && set({ grace_hours: v })}
          />
        </Group>
        {!fixed && (
          <>
            <Textarea
              label="Applies where"
              description="Left out: everywhere."
              autosize
              spellCheck={false}
              value={w.applies ?? ""}
              error={said("applies")}
              onChange={(e) => set({ applies: e.currentTarget.value })}
              styles={mono}
            />
            <Textarea
              label="Expression"
              description="True where the device is as it should be. A fact that was never reported makes it unknown."
              required
              autosize
              minRows={2}
              spellCheck={false}
              value={w.expression}
              error={said("expression")}
              onChange={(e) => set({ expression: e.currentTarget.value })}
              styles={mono}
            />
            <Textarea
              label="To mend it"
              autosize
              maxLength={4000}
              value={w.remediation ?? ""}
              onChange={(e) => set({ remediation: e.currentTarget.value })}
            />
            <Group>
              <Button
                variant="default"
                disabled={w.expression.trim() === ""}
                loading={trial.isPending}
                onClick={() =>
                  trial.mutate({
                    expression: w.expression,
                    ...(w.applies ? { applies: w.applies } : {}),
                  })
                }
              >
                Try it
              </Button>
            </Group>
            {trial.error && (
              <Refused
                error={trial.error}
                title="The expression does not work"
                tried={trial.variables}
                now={w}
                onChange={set}
              />
            )}
            {trial.data && (
              <div role="status">
                <Text>
                  Of {countWords(trial.data.devices, "device")}:{" "}
                  {complianceStates
                    .filter((s) => (trial.data.counts[s] ?? 0) > 0)
                    .map((s) => `${trial.data.counts[s]} ${complianceWords(s).toLowerCase()}`)
                    .join(", ")}
                </Text>
                <List size="sm">
                  {trial.data.sample.slice(0, 8).map((d) => (
                    <List.Item key={d.device_id}>
                      <PageLink to="/devices/$deviceId" params={{ deviceId: d.device_id }}>
                        {d.name}
                      </PageLink>{" "}
                      <ComplianceMark state={d.state} /> {d.message}
                    </List.Item>
                  ))}
                </List>
              </div>
            )}
          </>
        )}
        {error ? (
          <Refused error={error} title="The rule was not saved" tried={sent} now={w} onChange={set} />
        ) : null}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={busy}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

const fieldWords: Partial<Record<keyof ComplianceRuleChange, string>> = {
  title: "Title",
  description: "Description",
  category: "Category",
  severity: "Severity",
  grace_hours: "Grace, in hours",
  applies: "Applies where",
  expression: "Expression",
  remediation: "To mend it",
  enabled: "Counts",
};

type Expressions = Pick<ComplianceRuleChange, "expression" | "applies">;

interface RefusedProps {
  error: unknown;
  title: string;
  /** What was refused, and what the form holds by now. */
  tried: Expressions | undefined;
  now: Expressions;
  onChange: (part: Partial<Expressions>) => void;
}

/** Why the gateway refused a rule: at its place in the expression, where it named one. */
function Refused({ error, title, tried, now, onChange }: RefusedProps) {
  const field = (["expression", "applies"] as const).find((f) => faultIn(error, f));
  const fault = field && faultIn(error, field);
  const text = field && tried?.[field];
  if (!field || !fault || !text) return <ErrorPanel error={error} title={title} />;
  return (
    <ExpressionProblem
      expression={text}
      fault={fault}
      {...(now[field] === text ? { onUse: (mended: string) => onChange({ [field]: mended }) } : {})}
    />
  );
}
