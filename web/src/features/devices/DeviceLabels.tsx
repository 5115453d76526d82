import { Button, Group, Modal, MultiSelect, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useDeviceBulk } from "../../api/devices.ts";
import { labelsQuery } from "../../api/labels.ts";
import type { Device } from "../../api/types.ts";
import { LabelBadge, whyWords } from "../../ui/labelWords.tsx";
import { notifyFailed } from "../../ui/notify.ts";
import { Time } from "../../ui/Time.tsx";

/** The labels of a device, each with why it carries it. */
export function DeviceLabels({ device }: { device: Device }) {
  const [editing, setEditing] = useState(false);
  return (
    <section className="panel panel-pad" aria-labelledby="device-labels">
      <Group justify="space-between" mb="xs">
        <Title order={2} id="device-labels">
          Labels
        </Title>
        {device.may.includes("device.manage") && (
          <Button size="compact-sm" variant="subtle" onClick={() => setEditing(true)}>
            Change
          </Button>
        )}
      </Group>
      {device.labels.length === 0 ? (
        <Text c="dimmed">None.</Text>
      ) : (
        <ul className="bare-list">
          {device.labels.map((l) => (
            <li key={l.id} style={{ marginBottom: "0.35rem" }}>
              <LabelBadge label={l} />{" "}
              <span className="quiet">
                {l.kind === "smart"
                  ? (l.why ?? []).length > 0
                    ? `because ${whyWords(l.why ?? [])}`
                    : `because ${l.expression ?? "its expression holds"}`
                  : `given by ${l.given_name || "somebody"}`}
                {l.since && (
                  <>
                    , <Time at={l.since} />
                  </>
                )}
              </span>
            </li>
          ))}
        </ul>
      )}
      <Modal opened={editing} onClose={() => setEditing(false)} title={<Text fw={650}>Static labels</Text>}>
        <Edit device={device} onClose={() => setEditing(false)} />
      </Modal>
    </section>
  );
}

function Edit({ device, onClose }: { device: Device; onClose: () => void }) {
  const labels = (useQuery(labelsQuery).data?.items ?? []).filter((l) => l.kind === "static");
  const had = device.labels.filter((l) => l.kind === "static").map((l) => l.id);
  const [has, setHas] = useState(had);
  const change = useDeviceBulk();
  const save = async () => {
    try {
      for (const id of has.filter((h) => !had.includes(h))) {
        await change.mutateAsync({ ids: [device.id], action: "label", label_id: id });
      }
      for (const id of had.filter((h) => !has.includes(h))) {
        await change.mutateAsync({ ids: [device.id], action: "unlabel", label_id: id });
      }
      onClose();
    } catch (error) {
      notifyFailed("The labels were not changed", error);
    }
  };
  return (
    <Stack>
      <MultiSelect
        label="Labels"
        description="Smart labels set themselves and are not listed."
        searchable
        data={labels.map((l) => ({ value: l.id, label: l.name }))}
        value={has}
        onChange={setHas}
        nothingFoundMessage="There is no static label yet."
        data-autofocus
      />
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onClose}>
          Cancel
        </Button>
        <Button loading={change.isPending} onClick={() => void save()}>
          Save
        </Button>
      </Group>
    </Stack>
  );
}
