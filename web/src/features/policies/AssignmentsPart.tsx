import {
  Alert,
  Button,
  Fieldset,
  Group,
  MultiSelect,
  NumberInput,
  SimpleGrid,
  Stack,
  Text,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { isOutdated } from "../../api/client.ts";
import { groupsQuery } from "../../api/groups.ts";
import { labelsQuery } from "../../api/labels.ts";
import { useAssign, useWhatIf } from "../../api/policies.ts";
import type { Assignment, Policy } from "../../api/types.ts";
import { flatten, groupTrees, pathWords } from "../../ui/groupTree.ts";
import { GroupIcon } from "../../ui/icons.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { Overtaken } from "../../ui/Overtaken.tsx";
import { Empty, ErrorPanel } from "../../ui/states.tsx";
import { useEdits } from "./edits.ts";
import { KeepUnsaved } from "./KeepUnsaved.tsx";
import { WhatIfPanel } from "./WhatIfPanel.tsx";

const empty = { groups: [], labels: [] };

/** Whom a policy is for. A change shows its effect before it is saved. */
export function AssignmentsPart({ policy, mayManage }: { policy: Policy; mayManage: boolean }) {
  const edits = useEdits(policy, policy.assignments);
  const { value: list, changed, overtaken, adopt } = edits;
  const assign = useAssign(policy.id);
  const whatIf = useWhatIf(policy.id);
  const set = (next: Assignment[]) => {
    edits.setValue(next);
    whatIf.reset();
  };
  const goOn = (next: Assignment[]) => {
    assign.reset();
    whatIf.reset();
    adopt(policy.assignments, policy.revision, next);
  };
  return (
    <Stack>
      <KeepUnsaved when={changed && !assign.isPending} what="the assignments" />
      {overtaken && !assign.isPending && (
        <Overtaken
          of="policy"
          theirs={<AssignmentLines list={policy.assignments} />}
          mine={<AssignmentLines list={list} />}
          words="Only one of the two can stand. Nothing is saved before you say so."
          verb="Go on with mine"
          onGoOn={() => goOn(list)}
          onTakeTheirs={() => goOn(policy.assignments)}
        />
      )}
      {list.length === 0 && (
        <div className="panel">
          <Empty icon={<GroupIcon size={36} />} title="For nobody yet">
            A policy counts for the devices of the groups, and those below them, and of the labels it is
            assigned to.
          </Empty>
        </div>
      )}
      {list.map((a, i) => (
        <AssignmentFields
          key={`${edits.turn} ${a.id ?? i}`}
          legend={list.length > 1 ? `Assignment ${i + 1} of ${list.length}` : "Assignment"}
          value={a}
          readOnly={!mayManage}
          onChange={(next) => set(list.map((o, n) => (n === i ? next : o)))}
          onRemove={() => set(list.filter((_, n) => n !== i))}
        />
      ))}
      {mayManage && (
        <Group gap="xs">
          <Button
            variant="default"
            onClick={() => set([...list, { include: empty, exclude: empty, priority: 100 }])}
          >
            Add assignment
          </Button>
          <span style={{ flex: 1 }} />
          {changed && (
            <>
              <Button
                variant="default"
                onClick={() => {
                  assign.reset();
                  set(edits.base);
                }}
              >
                Undo changes
              </Button>
              <Button
                variant="default"
                loading={whatIf.isPending}
                onClick={() => whatIf.mutate({ assignments: list })}
              >
                What would happen?
              </Button>
              <Button
                loading={assign.isPending}
                disabled={overtaken}
                onClick={() =>
                  assign.mutate(
                    { assignments: list, revision: edits.revision },
                    {
                      onSuccess: (p) => {
                        adopt(p.assignments, p.revision);
                        notifyDone("The assignments are saved; devices are being told.");
                      },
                    },
                  )
                }
              >
                Save
              </Button>
            </>
          )}
        </Group>
      )}
      {!whatIf.isIdle && (
        <div className="panel panel-pad">
          <WhatIfPanel result={whatIf.data} error={whatIf.error} busy={whatIf.isPending} />
          {policy.live === 0 && (
            <Text size="sm" c="dimmed" mt={4}>
              Nothing is published yet. Publishing shows its effect before it takes place.
            </Text>
          )}
        </div>
      )}
      {isOutdated(assign.error) && !overtaken ? (
        <Alert
          color="yellow"
          className="overtaken"
          title="Somebody else has changed this policy meanwhile"
          role="alert"
        >
          It was not the assignments that they changed. Yours are still here: save them again.
        </Alert>
      ) : (
        assign.error &&
        !overtaken && <ErrorPanel error={assign.error} title="The assignments were not saved" />
      )}
    </Stack>
  );
}

/** Assignments in words, a line each. */
function AssignmentLines({ list }: { list: readonly Assignment[] }) {
  const groups = useQuery(groupsQuery).data ?? [];
  const labels = useQuery(labelsQuery).data?.items ?? [];
  const paths = new Map(flatten(groupTrees(groups)).map((n) => [n.group.id, pathWords(n.path)]));
  const names = (side: Assignment["include"] | undefined) =>
    [
      ...(side?.groups ?? []).map((id) => paths.get(id) ?? id),
      ...(side?.labels ?? []).map((id) => `label ${labels.find((l) => l.id === id)?.name ?? id}`),
    ].join(", ");
  if (list.length === 0) return <Text size="sm">To nobody.</Text>;
  return (
    <ul className="plain-lines">
      {list.map((a, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: what is new has no id yet
        <li key={i}>
          {names(a.include) || "Nobody"}
          {names(a.exclude) && `, but not ${names(a.exclude)}`}; priority {a.priority}
        </li>
      ))}
    </ul>
  );
}

interface AssignmentFieldsProps {
  legend: string;
  value: Assignment;
  readOnly: boolean;
  onChange: (a: Assignment) => void;
  onRemove: () => void;
}

function AssignmentFields({ legend, value, readOnly, onChange, onRemove }: AssignmentFieldsProps) {
  const groups = useQuery(groupsQuery).data ?? [];
  const labels = useQuery(labelsQuery).data?.items ?? [];
  const groupData = flatten(groupTrees(groups)).map((n) => ({ value: n.group.id, label: pathWords(n.path) }));
  const labelData = labels.map((l) => ({ value: l.id, label: l.name }));
  const shared = { searchable: true, clearable: true, disabled: readOnly };
  return (
    <Fieldset legend={legend} className="panel">
      <Stack gap="sm">
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm">
          <MultiSelect
            label="Groups"
            description="Their devices, and those of the groups below."
            data={groupData}
            value={value.include.groups ?? []}
            onChange={(v) => onChange({ ...value, include: { ...value.include, groups: v } })}
            {...shared}
          />
          <MultiSelect
            label="Labels"
            description="Devices with any of these, wherever they stand."
            data={labelData}
            value={value.include.labels ?? []}
            onChange={(v) => onChange({ ...value, include: { ...value.include, labels: v } })}
            {...shared}
          />
        </SimpleGrid>
        <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="sm">
          <MultiSelect
            label="But not groups"
            data={groupData}
            value={value.exclude?.groups ?? []}
            onChange={(v) => onChange({ ...value, exclude: { ...value.exclude, groups: v } })}
            {...shared}
          />
          <MultiSelect
            label="But not labels"
            data={labelData}
            value={value.exclude?.labels ?? []}
            onChange={(v) => onChange({ ...value, exclude: { ...value.exclude, labels: v } })}
            {...shared}
          />
        </SimpleGrid>
        <NumberInput
          label="Priority"
          description="Where policies disagree and the setting goes by priority, the higher number wins (0 to 1,000)."
          min={0}
          max={1000}
          allowDecimal={false}
          value={value.priority}
          readOnly={readOnly}
          onChange={(v) => typeof v === "number" && onChange({ ...value, priority: v })}
          styles={{ wrapper: { maxWidth: 280 } }}
        />
        {(value.version ?? 0) > 0 && <Text size="sm">Held at version {value.version}.</Text>}
        {!readOnly && (
          <Group justify="flex-end">
            <Button size="compact-sm" variant="subtle" color="red" onClick={onRemove}>
              Remove assignment
            </Button>
          </Group>
        )}
      </Stack>
    </Fieldset>
  );
}
