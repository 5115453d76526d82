import { Badge, Button, Group, Modal, Select, Stack, TagsInput, Text, TextInput, Title } from "@mantine/core";
import { useState } from "react";
import { useSaveAssetFields } from "../../api/assets.ts";
import type { AssetField } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { IconButton } from "../../ui/IconButton.tsx";
import { CloseIcon, DownIcon, EnrollIcon, UpIcon } from "../../ui/icons.tsx";
import { notifyDone, notifyFailed } from "../../ui/notify.ts";
import { ErrorPanel } from "../../ui/states.tsx";

const kinds: { value: AssetField["kind"]; label: string }[] = [
  { value: "text", label: "Text" },
  { value: "number", label: "Number" },
  { value: "date", label: "Date" },
  { value: "choice", label: "Choice" },
];

/** What many organisations keep; offered while they do not. */
const starters: readonly AssetField[] = [
  { key: "owner", name: "Owner", kind: "text" },
  { key: "cost_center", name: "Cost center", kind: "text" },
  { key: "warranty_until", name: "Warranty until", kind: "date" },
  { key: "location", name: "Location", kind: "text" },
  { key: "asset_tag", name: "Asset tag", kind: "text" },
  { key: "purchased", name: "Purchased", kind: "date" },
  { key: "price", name: "Price", kind: "number" },
  { key: "use", name: "Use", kind: "choice", choices: ["Office", "Shared", "Spare"] },
];

/** The key of a field by its name, as files and searches write it. */
function keyOf(name: string, taken: readonly string[]): string {
  const base =
    name
      .normalize("NFKD")
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "_")
      .replace(/^_+|_+$/g, "")
      .slice(0, 28) || "field";
  let key = base;
  for (let n = 2; taken.includes(key); n++) key = `${base}_${n}`;
  return key;
}

/** The fields in their order: made, renamed, moved and taken away. */
export function FieldsPart({ fields, mayChange }: { fields: readonly AssetField[]; mayChange: boolean }) {
  const save = useSaveAssetFields();
  const [editing, setEditing] = useState<AssetField | "new" | null>(null);
  const [removing, setRemoving] = useState<AssetField | null>(null);
  const put = (next: readonly AssetField[], words: string, then?: () => void) =>
    save.mutate(
      { fields: [...next] },
      {
        onSuccess: () => {
          notifyDone(words);
          then?.();
        },
        onError: (e) => notifyFailed("The fields were not changed", e),
      },
    );
  const move = (at: number, by: -1 | 1) => {
    const next = [...fields];
    const [f] = next.splice(at, 1);
    if (!f) return;
    next.splice(at + by, 0, f);
    put(next, `${f.name} is now number ${at + by + 1}.`);
  };
  const missing = starters.filter((s) => !fields.some((f) => f.key === s.key));
  return (
    <section className="panel panel-pad" aria-labelledby="asset-fields">
      <Group justify="space-between" mb="xs">
        <Title order={2} id="asset-fields">
          Fields
        </Title>
        {mayChange && (
          <Button size="compact-md" variant="default" onClick={() => setEditing("new")}>
            New field
          </Button>
        )}
      </Group>
      {fields.length === 0 && <Text c="dimmed">No fields yet.</Text>}
      <ol className="bare-list">
        {fields.map((f, i) => (
          <li key={f.key} className="column-row">
            <div style={{ flex: 1, minWidth: 0 }}>
              <Group gap="xs">
                <Text fw={550} className="wrap-anywhere">
                  {f.name}
                </Text>
                <Badge size="sm" variant="default">
                  {kinds.find((k) => k.value === f.kind)?.label}
                </Badge>
              </Group>
              <Text size="sm" c="dimmed">
                Search as <code>asset.{f.key}:…</code>
                {f.choices && f.choices.length > 0 && <> · {f.choices.join(", ")}</>}
              </Text>
            </div>
            {mayChange && (
              <Group gap={2} wrap="nowrap">
                <Button
                  size="compact-sm"
                  variant="subtle"
                  onClick={() => setEditing(f)}
                  aria-label={`Edit ${f.name}`}
                >
                  Edit
                </Button>
                <IconButton
                  label={`Move ${f.name} up`}
                  disabled={i === 0 || save.isPending}
                  onClick={() => move(i, -1)}
                >
                  <UpIcon size={16} />
                </IconButton>
                <IconButton
                  label={`Move ${f.name} down`}
                  disabled={i === fields.length - 1 || save.isPending}
                  onClick={() => move(i, 1)}
                >
                  <DownIcon size={16} />
                </IconButton>
                <IconButton label={`Remove ${f.name}`} onClick={() => setRemoving(f)}>
                  <CloseIcon size={16} />
                </IconButton>
              </Group>
            )}
          </li>
        ))}
      </ol>
      {mayChange && missing.length > 0 && (
        <Group gap={6} mt="sm">
          <Text size="sm" c="dimmed">
            Often kept:
          </Text>
          {missing.map((s) => (
            <Button
              key={s.key}
              size="compact-sm"
              variant="default"
              leftSection={<EnrollIcon size={13} />}
              aria-label={`Add the field ${s.name}`}
              disabled={save.isPending}
              onClick={() => put([...fields, s], `${s.name} is added.`)}
            >
              {s.name}
            </Button>
          ))}
        </Group>
      )}
      <Modal
        opened={editing !== null}
        onClose={() => setEditing(null)}
        title={<Text fw={650}>{editing === "new" ? "New field" : "Edit field"}</Text>}
      >
        {editing && (
          <FieldForm
            {...(editing === "new" ? {} : { field: editing })}
            fields={fields}
            onClose={() => setEditing(null)}
          />
        )}
      </Modal>
      <Confirm
        opened={removing !== null}
        title={`Remove the field ${removing?.name ?? ""}?`}
        verb="Remove field"
        busy={save.isPending}
        error={save.error}
        onClose={() => setRemoving(null)}
        onConfirm={() =>
          put(
            fields.filter((f) => f.key !== removing?.key),
            `${removing?.name} is removed.`,
            () => setRemoving(null),
          )
        }
      >
        It is no longer shown or searched. Its values stay with the devices, and show again should a field
        with the key <code>{removing?.key}</code> come back.
      </Confirm>
    </section>
  );
}

function FieldForm({
  field,
  fields,
  onClose,
}: {
  field?: AssetField;
  fields: readonly AssetField[];
  onClose: () => void;
}) {
  const save = useSaveAssetFields();
  const [name, setName] = useState(field?.name ?? "");
  const [kind, setKind] = useState<AssetField["kind"]>(field?.kind ?? "text");
  const [choices, setChoices] = useState<string[]>(field?.choices ?? []);
  const key =
    field?.key ??
    keyOf(
      name,
      fields.map((f) => f.key),
    );
  const next: AssetField = { key, name: name.trim(), kind, ...(kind === "choice" ? { choices } : {}) };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        save.mutate(
          { fields: field ? fields.map((f) => (f.key === field.key ? next : f)) : [...fields, next] },
          { onSuccess: onClose },
        );
      }}
    >
      <Stack>
        <TextInput
          label="Name"
          description={name.trim() ? `In files and searches: ${key}` : "As people call it"}
          required
          maxLength={128}
          data-autofocus
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
        />
        <Select
          label="Kind"
          allowDeselect={false}
          data={kinds}
          value={kind}
          onChange={(v) => v && setKind(v as AssetField["kind"])}
        />
        {kind === "choice" && (
          <TagsInput
            label="Choices"
            description="Enter after each"
            required
            maxTags={100}
            value={choices}
            onChange={setChoices}
          />
        )}
        {save.error && <ErrorPanel error={save.error} title="The field was not saved" />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            loading={save.isPending}
            disabled={name.trim() === "" || (kind === "choice" && choices.length === 0)}
          >
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
