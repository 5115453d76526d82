import { Button, Group, NumberInput, Select, Stack, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useCreateToken } from "../../api/enrollment.ts";
import { groupsQuery } from "../../api/groups.ts";
import type { DeviceGroup, NewToken } from "../../api/types.ts";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { groupTrees } from "../../ui/groupTree.ts";
import { ErrorPanel, Loaded } from "../../ui/states.tsx";

const lifetimes = [
  { value: "3600", label: "1 hour" },
  { value: "86400", label: "1 day" },
  { value: "604800", label: "1 week" },
  { value: "2592000", label: "30 days" },
];

interface NewTokenFormProps {
  onMade: (made: NewToken) => void;
  onCancel: () => void;
}

/** Asks for group, uses and lifetime of a new token; each has a sensible start. */
export function NewTokenForm(props: NewTokenFormProps) {
  const groups = useQuery(groupsQuery);
  return <Loaded query={groups}>{(list) => <Form groups={list} {...props} />}</Loaded>;
}

function Form({ groups, onMade, onCancel }: NewTokenFormProps & { groups: DeviceGroup[] }) {
  const create = useCreateToken();
  const form = useForm({
    initialValues: {
      group_id: groupTrees(groups)[0]?.group.id ?? "",
      uses: 1 as number | string,
      ttl: "86400",
      note: "",
    },
    validate: {
      group_id: (v) => (v === "" ? "Choose a group." : null),
      uses: (v) => (Number(v) >= 1 && Number(v) <= 100_000 ? null : "From 1 to 100,000."),
    },
  });
  const submit = form.onSubmit((v) =>
    create.mutate(
      { group_id: v.group_id, uses: Number(v.uses), ttl_seconds: Number(v.ttl), note: v.note.trim() },
      { onSuccess: onMade },
    ),
  );
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput
          label="Note"
          description="Who or what it is for"
          placeholder="Reception PCs, Berlin"
          maxLength={200}
          data-autofocus
          {...form.getInputProps("note")}
        />
        <GroupSelect
          label="Group"
          description="Devices that join with this token go here"
          allowDeselect={false}
          groups={groups}
          {...form.getInputProps("group_id")}
        />
        <Group grow align="flex-start">
          <NumberInput
            label="Machines"
            description="How many may join"
            min={1}
            max={100_000}
            allowDecimal={false}
            {...form.getInputProps("uses")}
          />
          <Select
            label="Good for"
            description="After that it expires"
            allowDeselect={false}
            data={lifetimes}
            {...form.getInputProps("ttl")}
          />
        </Group>
        {create.isError && <ErrorPanel error={create.error} title="No token was made" />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onCancel}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Make token
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
