import { Button, Group, Modal, Select, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useDeviceBulk } from "../../api/devices.ts";
import { groupsQuery } from "../../api/groups.ts";
import { labelsQuery } from "../../api/labels.ts";
import type { Device, DeviceBulk } from "../../api/types.ts";
import { CommandForm } from "../../ui/CommandForm.tsx";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";

interface ChosenDevicesProps {
  chosen: ReadonlyMap<string, Device>;
  onClear: () => void;
}

type Dialog = "command" | "move" | "label" | "unlabel";

/** What can be done with the devices that are ticked; stays in sight at the foot of the list. */
export function ChosenDevices({ chosen, onClear }: ChosenDevicesProps) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const devices = [...chosen.values()];
  const all = (permission: string) => devices.every((d) => d.may.includes(permission));
  const words = countWords(chosen.size, "device");
  const close = () => setDialog(null);
  return (
    <Group gap="xs" className="sticky-bar" role="group" aria-label="Chosen devices" mt="sm">
      <Text style={{ flex: 1 }} role="status">
        {words} chosen
      </Text>
      {all("command.run") && (
        <Button size="compact-md" variant="default" onClick={() => setDialog("command")}>
          Run a command…
        </Button>
      )}
      {all("device.manage") && (
        <>
          <Button size="compact-md" variant="default" onClick={() => setDialog("label")}>
            Label…
          </Button>
          <Button size="compact-md" variant="default" onClick={() => setDialog("unlabel")}>
            Take a label off…
          </Button>
          <Button size="compact-md" variant="default" onClick={() => setDialog("move")}>
            Move…
          </Button>
        </>
      )}
      <Button size="compact-md" variant="subtle" onClick={onClear}>
        Choose none
      </Button>
      <Modal
        opened={dialog === "command"}
        onClose={close}
        size="lg"
        title={<Text fw={650}>Run a command on {words}</Text>}
      >
        <CommandForm
          target={{ devices: devices.map((d) => d.id) }}
          onClose={close}
          onDone={(made) => void navigate({ to: "/commands/$bulkId", params: { bulkId: made.bulk_id } })}
        />
      </Modal>
      <Modal
        opened={dialog !== null && dialog !== "command"}
        onClose={close}
        title={<Text fw={650}>{dialog && titles[dialog]}</Text>}
      >
        {dialog && dialog !== "command" && (
          <BulkForm
            action={dialog}
            ids={devices.map((d) => d.id)}
            onDone={() => {
              close();
              onClear();
            }}
            onClose={close}
          />
        )}
      </Modal>
    </Group>
  );
}

const titles: Record<Dialog, string> = {
  command: "Run a command",
  move: "Move to a group",
  label: "Give a label",
  unlabel: "Take a label off",
};

interface BulkFormProps {
  action: DeviceBulk["action"];
  ids: string[];
  onDone: () => void;
  onClose: () => void;
}

function BulkForm({ action, ids, onDone, onClose }: BulkFormProps) {
  const groups = useQuery(groupsQuery).data ?? [];
  const labels = (useQuery(labelsQuery).data?.items ?? []).filter((l) => l.kind === "static");
  const bulk = useDeviceBulk();
  const [id, setId] = useState<string | null>(null);
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        if (!id) return;
        bulk.mutate(
          { ids, action, ...(action === "move" ? { group_id: id } : { label_id: id }) },
          {
            onSuccess: () => {
              notifyDone(`${countWords(ids.length, "device")} changed.`);
              onDone();
            },
          },
        );
      }}
    >
      <Stack>
        {action === "move" ? (
          <GroupSelect
            label="Group"
            description="Its policies count from then on, instead of those of the groups before."
            groups={groups.filter((g) => g.may.includes("device.manage"))}
            value={id}
            onChange={setId}
            required
            data-autofocus
          />
        ) : (
          <Select
            label="Label"
            description="Smart labels set themselves and are not listed."
            searchable
            data={labels.map((l) => ({ value: l.id, label: l.name }))}
            value={id}
            onChange={setId}
            required
            nothingFoundMessage="There is no static label yet."
            data-autofocus
          />
        )}
        {bulk.error && <ErrorPanel error={bulk.error} title="That did not work" />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={!id} loading={bulk.isPending}>
            {titles[action]}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
