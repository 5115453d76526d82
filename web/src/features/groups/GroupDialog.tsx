import { Button, Checkbox, Group, Modal, Radio, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { useCreateGroup, useUpdateGroup } from "../../api/groups.ts";
import type { Capability, DeviceGroup, GroupChange } from "../../api/types.ts";
import { capabilityWords } from "../../ui/capabilities.ts";
import { isTaken } from "../../ui/form.ts";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { flatten, groupTrees } from "../../ui/groupTree.ts";
import { ErrorPanel } from "../../ui/states.tsx";

/** What is being changed. */
export type GroupEdit =
  | { kind: "new"; parent: string }
  | { kind: "edit"; group: DeviceGroup }
  | { kind: "policy"; group: DeviceGroup };

interface GroupDialogProps {
  edit: GroupEdit | null;
  groups: DeviceGroup[];
  onClose: () => void;
}

/** Makes a group, renames or moves one, or sets its policy. */
export function GroupDialog({ edit, groups, onClose }: GroupDialogProps) {
  const title =
    edit?.kind === "new"
      ? "New group"
      : edit?.kind === "policy"
        ? `Unattended access in ${edit.group.name}`
        : "Change group";
  return (
    <Modal opened={edit !== null} onClose={onClose} title={<Text fw={650}>{title}</Text>}>
      {edit?.kind === "policy" && <PolicyForm group={edit.group} groups={groups} onClose={onClose} />}
      {edit && edit.kind !== "policy" && <NameForm edit={edit} groups={groups} onClose={onClose} />}
    </Modal>
  );
}

function Buttons({ busy, verb, onClose }: { busy: boolean; verb: string; onClose: () => void }) {
  return (
    <Group justify="flex-end" gap="xs">
      <Button variant="default" onClick={onClose}>
        Cancel
      </Button>
      <Button type="submit" loading={busy}>
        {verb}
      </Button>
    </Group>
  );
}

function NameForm({
  edit,
  groups,
  onClose,
}: {
  edit: Exclude<GroupEdit, { kind: "policy" }>;
  groups: DeviceGroup[];
  onClose: () => void;
}) {
  const old = edit.kind === "edit" ? edit.group : null;
  const [name, setName] = useState(old?.name ?? "");
  const [parent, setParent] = useState(edit.kind === "new" ? edit.parent : (edit.group.parent_id ?? ""));
  const create = useCreateGroup();
  const update = useUpdateGroup();
  const error = create.error ?? update.error;
  // A group cannot go below itself.
  const within = old ? new Set(flatten(subtree(groups, old.id)).map((n) => n.group.id)) : new Set<string>();
  const submit = () => {
    const wish: GroupChange = {};
    if (name.trim() !== old?.name) wish.name = name.trim();
    if (parent !== "" && parent !== old?.parent_id) wish.parent_id = parent;
    if (old) update.mutate({ id: old.id, ...wish }, { onSuccess: onClose });
    else create.mutate({ name: name.trim(), parent_id: parent }, { onSuccess: onClose });
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Name"
          required
          maxLength={80}
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          error={isTaken(error) && "Another group has this name already."}
          data-autofocus
        />
        {(edit.kind === "new" || old?.parent_id) && (
          <GroupSelect
            label="Below"
            allowDeselect={false}
            groups={groups}
            without={within}
            value={parent}
            onChange={(v) => setParent(v ?? parent)}
          />
        )}
        {error && !isTaken(error) ? <ErrorPanel error={error} title="That did not work" /> : null}
        <Buttons
          busy={create.isPending || update.isPending}
          verb={old ? "Save" : "Make group"}
          onClose={onClose}
        />
      </Stack>
    </form>
  );
}

function subtree(groups: DeviceGroup[], id: string) {
  return flatten(groupTrees(groups)).filter((n) => n.group.id === id);
}

const grantable: Capability[] = [
  "control",
  "clipboard",
  "files",
  "terminal",
  "root",
  "diagnostics",
  "power",
  "record",
];

function PolicyForm({
  group,
  groups,
  onClose,
}: {
  group: DeviceGroup;
  groups: DeviceGroup[];
  onClose: () => void;
}) {
  const isTop = !group.parent_id;
  const [mode, setMode] = useState(
    group.unattended ? (group.unattended.enabled ? "unattended" : "ask") : "inherit",
  );
  const [rights, setRights] = useState<string[]>(
    group.unattended?.capabilities ?? ["view", "control", "clipboard"],
  );
  const update = useUpdateGroup();
  const above = groups.find((g) => g.id === group.parent_id);
  const submit = () => {
    const capabilities: Capability[] = ["view", ...(rights.filter((r) => r !== "view") as Capability[])];
    const wish: GroupChange =
      mode === "inherit"
        ? { inherit: true }
        : { unattended: { enabled: mode === "unattended", capabilities } };
    update.mutate({ id: group.id, ...wish }, { onSuccess: onClose });
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <Stack gap="md">
        <Radio.Group label="When an operator connects to a device here" value={mode} onChange={setMode}>
          <Stack gap="xs" mt="xs">
            <Radio
              value="inherit"
              label={isTop ? "No policy: people are asked" : "As the group above says"}
              description={
                isTop
                  ? undefined
                  : above?.in_force.enabled
                    ? "Which is: unattended access"
                    : "Which is: people are asked"
              }
            />
            <Radio value="ask" label="Ask the person at the device" description="No answer is a no" />
            <Radio
              value="unattended"
              label="Connect at once, without asking"
              description="For servers, kiosks and machines nobody sits at"
            />
          </Stack>
        </Radio.Group>
        {mode === "unattended" && (
          <Checkbox.Group
            label="Besides seeing the screen, without asking"
            value={rights}
            onChange={setRights}
          >
            <Stack gap={6} mt={6}>
              {grantable.map((c) => (
                <Checkbox
                  key={c}
                  value={c}
                  size="xs"
                  label={capabilityWords[c].name}
                  description={capabilityWords[c].means}
                />
              ))}
            </Stack>
          </Checkbox.Group>
        )}
        {update.isError && <ErrorPanel error={update.error} title="That did not work" />}
        <Buttons busy={update.isPending} verb="Save" onClose={onClose} />
      </Stack>
    </form>
  );
}
