import { Box, Button, Group, Modal, Select, Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type ReactNode, useState } from "react";
import { mostNamed, useDeviceBulk } from "../../api/devices.ts";
import { groupsQuery } from "../../api/groups.ts";
import { labelsQuery } from "../../api/labels.ts";
import type { Device, DeviceBulk, DeviceBulkDone } from "../../api/types.ts";
import { CommandForm } from "../../ui/CommandForm.tsx";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";

interface ChosenDevicesProps {
  chosen: ReadonlyMap<string, Device>;
  onClear: () => void;
  /** Offers to choose those that match too but are not loaded. */
  more?: ReactNode;
}

type Dialog = "command" | "move" | "label" | "unlabel";

/** What can be done with the devices that are ticked; stays in sight at the foot of the list. */
export function ChosenDevices({ chosen, onClear, more }: ChosenDevicesProps) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const devices = [...chosen.values()];
  const who = (permission: string) =>
    devices.filter((d) => d.state !== "revoked" && d.may.includes(permission)).map((d) => d.id);
  const reached = { command: who("command.run"), manage: who("device.manage") };
  const tooMany = devices.length > mostNamed;
  const close = () => setDialog(null);
  const leftOut = devices.length - (dialog === "command" ? reached.command : reached.manage).length;
  return (
    <Box mt="sm" className="sticky-bar" role="group" aria-label="Chosen devices">
      <Group gap="xs">
        <Group gap="xs" style={{ flex: "1 1 18rem" }}>
          <Text role="status">
            {countWords(devices.length, "device")} chosen
            {tooMany && `: too many. One change or command takes ${mostNamed.toLocaleString("en")} at most.`}
          </Text>
          {more}
        </Group>
        {!tooMany && reached.command.length > 0 && (
          <Button size="compact-md" variant="default" onClick={() => setDialog("command")}>
            Run a command…
          </Button>
        )}
        {!tooMany && reached.manage.length > 0 && (
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
      </Group>
      <Modal
        opened={dialog === "command"}
        onClose={close}
        size="lg"
        title={<Text fw={650}>Run a command on {countWords(reached.command.length, "device")}</Text>}
      >
        <LeftOut devices={leftOut} />
        <CommandForm
          target={{ devices: reached.command }}
          onClose={close}
          onDone={(made) => void navigate({ to: "/commands/$bulkId", params: { bulkId: made.bulk_id } })}
        />
      </Modal>
      <Modal
        opened={dialog !== null && dialog !== "command"}
        onClose={close}
        title={<Text fw={650}>{dialog && titles[dialog]}</Text>}
      >
        <LeftOut devices={leftOut} />
        {dialog && dialog !== "command" && (
          <BulkForm
            action={dialog}
            ids={reached.manage}
            onDone={() => {
              close();
              onClear();
            }}
            onClose={close}
          />
        )}
      </Modal>
    </Box>
  );
}

/** Says before anything happens that it does not happen to all that were chosen. */
function LeftOut({ devices }: { devices: number }) {
  if (devices === 0) return null;
  return (
    <Text mb="sm">
      {devices === 1
        ? "One of the chosen devices is left out: it is revoked, or not yours to do this to."
        : `${devices.toLocaleString("en")} of the chosen devices are left out: they are revoked, or not yours to do this to.`}
    </Text>
  );
}

const titles: Record<Dialog, string> = {
  command: "Run a command",
  move: "Move to a group",
  label: "Give a label",
  unlabel: "Take a label off",
};

const verbs: Record<DeviceBulk["action"], string> = {
  move: "Move",
  label: "Label",
  unlabel: "Take the label off",
};

/** What came of it, with those that were that way before or are gone. */
function doneWords({ matched, changed, skipped }: DeviceBulkDone): string {
  const words = [`${countWords(changed, "device")} changed.`];
  if (matched > changed) words.push(`${countWords(matched - changed, "device")} needed no change.`);
  if (skipped > 0) words.push(`${countWords(skipped, "device")} left out: gone or revoked since.`);
  return words.join(" ");
}

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
            onSuccess: (done) => {
              notifyDone(doneWords(done));
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
            {verbs[action]} {countWords(ids.length, "device")}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
