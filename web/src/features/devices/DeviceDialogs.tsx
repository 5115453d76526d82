import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useDeleteDevice, useRevokeDevice, useUpdateDevice } from "../../api/devices.ts";
import { groupsQuery } from "../../api/groups.ts";
import type { Device } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { ErrorPanel } from "../../ui/states.tsx";

export type DeviceDialog = "edit" | "revoke" | "delete" | null;

interface DialogProps {
  device: Device;
  dialog: DeviceDialog;
  onClose: () => void;
}

/** The dialogs of a device's menu; at most one is open. */
export function DeviceDialogs({ device, dialog, onClose }: DialogProps) {
  const navigate = useNavigate();
  const revoke = useRevokeDevice(device.id);
  const remove = useDeleteDevice(device.id);
  return (
    <>
      <Modal opened={dialog === "edit"} onClose={onClose} title={<Text fw={650}>Rename or move</Text>}>
        <EditForm device={device} onClose={onClose} />
      </Modal>
      <Confirm
        opened={dialog === "revoke"}
        title={`Revoke ${device.name}?`}
        verb="Revoke"
        busy={revoke.isPending}
        error={revoke.error}
        onClose={onClose}
        onConfirm={() =>
          revoke.mutate(undefined, {
            onSuccess: () => {
              notifyDone(`${device.name} is cut off.`);
              onClose();
            },
          })
        }
      >
        The device is cut off at once and its key is never accepted again. Sessions on it end. Its record
        stays.
      </Confirm>
      <Confirm
        opened={dialog === "delete"}
        title={`Delete ${device.name}?`}
        verb="Delete"
        busy={remove.isPending}
        error={remove.error}
        onClose={onClose}
        onConfirm={() =>
          remove.mutate(undefined, {
            onSuccess: () => {
              notifyDone(`${device.name} is deleted.`);
              void navigate({ to: "/devices" });
            },
          })
        }
      >
        Its record and inventory are deleted and it is cut off. What the audit log says about it stays.
      </Confirm>
    </>
  );
}

function EditForm({ device, onClose }: { device: Device; onClose: () => void }) {
  const groups = useQuery(groupsQuery);
  const update = useUpdateDevice(device.id);
  const form = useForm({
    initialValues: { name: device.name, group_id: device.group_id },
    validate: { name: (v) => (v.trim() === "" ? "A device needs a name." : null) },
  });
  const submit = form.onSubmit((values) => {
    const change: { name?: string; group_id?: string } = {};
    if (values.name.trim() !== device.name) change.name = values.name.trim();
    if (values.group_id !== device.group_id) change.group_id = values.group_id;
    update.mutate(change, { onSuccess: onClose });
  });
  return (
    <form onSubmit={submit}>
      <Stack gap="sm">
        <TextInput label="Name" maxLength={128} data-autofocus {...form.getInputProps("name")} />
        <GroupSelect
          label="Group"
          description="Decides who may act on it and by which policy"
          allowDeselect={false}
          groups={groups.data ?? []}
          {...form.getInputProps("group_id")}
        />
        {update.isError && <ErrorPanel error={update.error} title="That did not work" />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={update.isPending}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
