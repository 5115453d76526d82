import { Button, Checkbox, Group, Modal, Radio, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";
import { isOutdated } from "../../api/client.ts";
import { useCreateGroup, useUpdateGroup } from "../../api/groups.ts";
import type { Capability, DeviceGroup, GroupChange } from "../../api/types.ts";
import { capabilityList, capabilityWords } from "../../ui/capabilities.ts";
import { isTaken } from "../../ui/form.ts";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { flatten, groupTrees } from "../../ui/groupTree.ts";
import { OvertakenFields, useSeen } from "../../ui/OvertakenFields.tsx";
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
  const now = (old && groups.find((g) => g.id === old.id)) ?? old;
  const theirs = { name: now?.name ?? "", parent: now?.parent_id ?? "" };
  const mine = { name: name.trim(), parent };
  const seen = useSeen(old ? theirs : mine, now?.revision ?? 0, mine);
  // A group cannot go below itself.
  const within = old ? new Set(flatten(subtree(groups, old.id)).map((n) => n.group.id)) : new Set<string>();
  const submit = () => {
    const wish: GroupChange = {};
    if (mine.name !== seen.from.name) wish.name = mine.name;
    if (parent !== "" && parent !== seen.from.parent) wish.parent_id = parent;
    if (old) update.mutate({ id: old.id, revision: seen.revision, ...wish }, { onSuccess: onClose });
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
        {old && seen.overtaken && (
          <OvertakenFields
            of="group"
            from={seen.from}
            theirs={theirs}
            mine={mine}
            words={{ name: "Name", parent: "Below" }}
            show={{ parent: (id) => groups.find((g) => g.id === id)?.name ?? id }}
            onGoOn={(fields) => {
              setName(fields.name);
              setParent(fields.parent);
              seen.see();
              update.reset();
            }}
          />
        )}
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
        {error && !isTaken(error) && !(seen.overtaken && isOutdated(error)) ? (
          <ErrorPanel error={error} title="That did not work" />
        ) : null}
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

const modeWords: Record<string, string> = {
  inherit: "as the group above says",
  ask: "people are asked",
  unattended: "at once, without asking",
};

/** What a group says of unattended access, as the form has it. */
function accessOf(group: DeviceGroup): { mode: string; rights: string[] } {
  return {
    mode: group.unattended ? (group.unattended.enabled ? "unattended" : "ask") : "inherit",
    rights: group.unattended?.capabilities ?? ["view", "control", "clipboard"],
  };
}

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
  const [mode, setMode] = useState(accessOf(group).mode);
  const [rights, setRights] = useState<string[]>(accessOf(group).rights);
  const update = useUpdateGroup();
  const now = groups.find((g) => g.id === group.id) ?? group;
  const mine = { mode, rights };
  const seen = useSeen(accessOf(now), now.revision, mine);
  const above = groups.find((g) => g.id === group.parent_id);
  const submit = () => {
    const capabilities: Capability[] = ["view", ...(rights.filter((r) => r !== "view") as Capability[])];
    const wish: GroupChange =
      mode === "inherit"
        ? { inherit: true }
        : { unattended: { enabled: mode === "unattended", capabilities } };
    update.mutate({ id: group.id, revision: seen.revision, ...wish }, { onSuccess: onClose });
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        submit();
      }}
    >
      <Stack gap="md">
        {seen.overtaken && (
          <OvertakenFields
            of="group"
            from={seen.from}
            theirs={accessOf(now)}
            mine={mine}
            words={{ mode: "When an operator connects", rights: "Without asking" }}
            show={{
              mode: (m) => modeWords[m] ?? m,
              rights: (list) => capabilityList(list as Capability[]).toLowerCase(),
            }}
            onGoOn={(fields) => {
              setMode(fields.mode);
              setRights(fields.rights);
              seen.see();
              update.reset();
            }}
          />
        )}
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
        {update.isError && !(seen.overtaken && isOutdated(update.error)) && (
          <ErrorPanel error={update.error} title="That did not work" />
        )}
        <Buttons busy={update.isPending} verb="Save" onClose={onClose} />
      </Stack>
    </form>
  );
}
