import { Alert, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useState } from "react";
import { useCreateOperator } from "../../api/operators.ts";
import type { DeviceGroup, Grant, Role } from "../../api/types.ts";
import { CopyText } from "../../ui/CopyText.tsx";
import { showFieldProblems } from "../../ui/form.ts";
import { groupTrees } from "../../ui/groupTree.ts";
import { WarningIcon } from "../../ui/icons.tsx";
import { randomPassword } from "../../ui/password.ts";
import { ErrorPanel } from "../../ui/states.tsx";
import { GrantsField } from "./GrantsField.tsx";

interface NewOperatorFormProps {
  roles: Role[];
  groups: DeviceGroup[];
  onClose: () => void;
}

/** Makes an operator with a first password, which is shown once to be passed on. */
export function NewOperatorForm({ roles, groups, onClose }: NewOperatorFormProps) {
  const create = useCreateOperator();
  const [made, setMade] = useState<{ name: string; password: string } | null>(null);
  const form = useForm({
    initialValues: {
      name: "",
      email: "",
      grants: [{ role: "technician", group_id: groupTrees(groups)[0]?.group.id ?? "" }] as Grant[],
    },
    validate: {
      name: (v) => (v.trim() === "" ? "Enter a name; people at the devices see it." : null),
      email: (v) => (/^\S+@\S+$/.test(v.trim()) ? null : "An address such as you@example.org."),
    },
  });
  if (made) return <FirstPassword {...made} onClose={onClose} />;
  const submit = form.onSubmit((v) => {
    const password = randomPassword();
    create.mutate(
      { name: v.name.trim(), email: v.email.trim(), grants: v.grants, password },
      {
        onSuccess: () => setMade({ name: v.name.trim(), password }),
        onError: (error) => showFieldProblems(form, error),
      },
    );
  });
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="sm">
        <TextInput label="Name" required maxLength={100} data-autofocus {...form.getInputProps("name")} />
        <TextInput
          label="Email"
          description="They sign in with it"
          type="email"
          required
          maxLength={254}
          autoComplete="off"
          {...form.getInputProps("email")}
        />
        <GrantsField
          roles={roles}
          groups={groups}
          value={form.values.grants}
          onChange={(grants) => form.setFieldValue("grants", grants)}
        />
        {create.isError && <ErrorPanel error={create.error} title="No operator was made" />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Make operator
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** A password that was set for somebody, this once. */
export function FirstPassword({
  name,
  password,
  onClose,
}: {
  name: string;
  password: string;
  onClose: () => void;
}) {
  return (
    <Stack gap="md">
      <Alert color="yellow" icon={<WarningIcon />} variant="light">
        Copy it now. The password is shown this once.
      </Alert>
      <Text>Give {name} this password, and ask them to change it under “Your account”.</Text>
      <CopyText value={password} label="Copy the password" />
      <Group justify="flex-end">
        <Button onClick={onClose}>Done</Button>
      </Group>
    </Stack>
  );
}
