import { Button, Group, Modal, Select, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { assetFieldsQuery } from "../../api/assets.ts";
import { useUpdateDevice } from "../../api/devices.ts";
import type { AssetField, Device } from "../../api/types.ts";
import { PageLink } from "../../ui/links.tsx";
import { ErrorPanel } from "../../ui/states.tsx";

/** What the organisation keeps of a device beside what it reports. */
export function DeviceAssets({ device }: { device: Device }) {
  const fields = useQuery(assetFieldsQuery).data?.fields ?? [];
  const [editing, setEditing] = useState(false);
  const mayManage = device.may.includes("device.manage");
  const filled = fields.filter((f) => device.assets[f.key]);
  if (fields.length === 0) return null;
  return (
    <section className="panel panel-pad" aria-labelledby="device-assets">
      <Group justify="space-between" mb="xs">
        <Title order={2} id="device-assets">
          Asset
        </Title>
        {mayManage && (
          <Button
            size="compact-sm"
            variant="subtle"
            aria-label="Change the asset fields"
            onClick={() => setEditing(true)}
          >
            Change
          </Button>
        )}
      </Group>
      {filled.length === 0 ? (
        <Text c="dimmed">
          Nothing is noted yet.{" "}
          <PageLink to="/assets" underline="always">
            Asset fields
          </PageLink>
        </Text>
      ) : (
        <dl className="facts">
          {filled.map((f) => (
            <Fact key={f.key} field={f} value={device.assets[f.key] ?? ""} />
          ))}
        </dl>
      )}
      <Modal opened={editing} onClose={() => setEditing(false)} title={<Text fw={650}>Asset fields</Text>}>
        <Edit device={device} fields={fields} onClose={() => setEditing(false)} />
      </Modal>
    </section>
  );
}

function Fact({ field, value }: { field: AssetField; value: string }) {
  return (
    <>
      <dt>{field.name}</dt>
      <dd>{value}</dd>
    </>
  );
}

function Edit({
  device,
  fields,
  onClose,
}: {
  device: Device;
  fields: readonly AssetField[];
  onClose: () => void;
}) {
  const update = useUpdateDevice(device.id);
  const [values, setValues] = useState<Record<string, string>>({ ...device.assets });
  const set = (key: string, value: string) => setValues({ ...values, [key]: value });
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        const assets: Record<string, string> = {};
        for (const f of fields) {
          const value = (values[f.key] ?? "").trim();
          if (value !== (device.assets[f.key] ?? "")) assets[f.key] = value;
        }
        if (Object.keys(assets).length === 0) onClose();
        else update.mutate({ assets }, { onSuccess: onClose });
      }}
    >
      <Stack gap="sm">
        {fields.map((f, i) =>
          f.kind === "choice" ? (
            <Select
              key={f.key}
              label={f.name}
              clearable
              data={f.choices ?? []}
              value={values[f.key] || null}
              onChange={(v) => set(f.key, v ?? "")}
              data-autofocus={i === 0 || undefined}
            />
          ) : (
            <TextInput
              key={f.key}
              label={f.name}
              type={f.kind === "date" ? "date" : "text"}
              inputMode={f.kind === "number" ? "decimal" : undefined}
              maxLength={500}
              value={values[f.key] ?? ""}
              onChange={(e) => set(f.key, e.currentTarget.value)}
              data-autofocus={i === 0 || undefined}
            />
          ),
        )}
        {update.error && <ErrorPanel error={update.error} title="That was not saved" />}
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
