import {
  Alert,
  Button,
  Group,
  List,
  Loader,
  SegmentedControl,
  Select,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { isOutdated } from "../../api/client.ts";
import { labelPreviewQuery, labelsQuery, useChangeLabel, useCreateLabel } from "../../api/labels.ts";
import type { Label, LabelColor } from "../../api/types.ts";
import { ExpressionProblem } from "../../ui/ExpressionProblem.tsx";
import { isTaken, showFieldProblems } from "../../ui/form.ts";
import { dotOf, whyWords } from "../../ui/labelWords.tsx";
import { PageLink } from "../../ui/links.tsx";
import { OvertakenFields, useSeen } from "../../ui/OvertakenFields.tsx";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";

const labelColors: LabelColor[] = [
  "gray",
  "red",
  "orange",
  "yellow",
  "green",
  "teal",
  "blue",
  "purple",
  "pink",
];

/** So many of those who match are shown; the list of devices shows them all once the label is saved. */
const fewDevices = 8;

/** What many want, in words and as an expression. */
const examples = [
  { words: "Laptops", text: 'inventory.hardware.chassis == "laptop"' },
  { words: "At most 8 GB of memory", text: "inventory.hardware.memory_bytes <= 8u * 1073741824u" },
  {
    words: "System volume not encrypted",
    text: 'inventory.encryption.volumes.exists(v, v.mount == "/" && !v.encrypted)',
  },
  { words: "Security updates pending", text: "inventory.updates.pending.exists(p, p.security)" },
  { words: "Old OpenSSL", text: 'software("openssl").exists(v, version_less(v, "3.0.15"))' },
  { words: "Debian", text: 'device.os_version.startsWith("Debian")' },
];

/** What of a label is edited. */
type Fields = {
  name: string;
  description: string;
  kind: Label["kind"];
  color: LabelColor;
  expression: string;
};

function fieldsOf(label: Label | undefined): Fields {
  return {
    name: label?.name ?? "",
    description: label?.description ?? "",
    kind: label?.kind ?? "smart",
    color: label?.color ?? "gray",
    expression: label?.expression ?? "",
  };
}

const fieldWords = { name: "Name", description: "Description", color: "Colour", expression: "Expression" };

/** Makes or changes a label; a smart one shows at once whom it would match. */
export function LabelForm({ label, onClose }: { label?: Label; onClose: () => void }) {
  const create = useCreateLabel();
  const change = useChangeLabel(label?.id ?? "");
  const save = label ? change : create;
  const [said, setSaid] = useState(false);
  const form = useForm({
    mode: "controlled",
    initialValues: fieldsOf(label),
    validate: {
      name: (v) => (v.trim() === "" ? "A label needs a name." : null),
      expression: (v, all) =>
        all.kind === "smart" && v.trim() === "" ? "A smart label needs an expression." : null,
    },
  });
  const { kind, expression } = form.getValues();
  const list = useQuery({ ...labelsQuery, enabled: label !== undefined }).data?.items;
  const now = list?.find((l) => l.id === label?.id) ?? label;
  const theirs = fieldsOf(now);
  const seen = useSeen(theirs, now?.revision ?? 0, form.getValues());
  return (
    <form
      onSubmit={form.onSubmit((v) => {
        const shared = {
          name: v.name,
          description: v.description,
          color: v.color,
          ...(v.kind === "smart" ? { expression: v.expression } : {}),
        };
        const then = {
          onSuccess: onClose,
          onError: (e: Error) => {
            if (isTaken(e)) form.setFieldError("name", "Another label has this name already.");
            setSaid(showFieldProblems(form, e));
          },
        };
        if (label) change.mutate({ body: shared, revision: seen.revision }, then);
        else create.mutate({ ...shared, kind: v.kind }, then);
      })}
    >
      <Stack>
        {seen.overtaken && (
          <OvertakenFields
            of="label"
            from={seen.from}
            theirs={theirs}
            mine={form.getValues()}
            words={fieldWords}
            onGoOn={(fields) => {
              form.setValues(fields);
              seen.see();
              save.reset();
            }}
          />
        )}
        <TextInput label="Name" required maxLength={80} data-autofocus {...form.getInputProps("name")} />
        <TextInput label="Description" maxLength={500} {...form.getInputProps("description")} />
        {!label && (
          <SegmentedControl
            aria-label="Kind"
            data={[
              { value: "smart", label: "Smart: sets itself" },
              { value: "static", label: "Static: set by hand" },
            ]}
            {...form.getInputProps("kind")}
          />
        )}
        {kind === "smart" && (
          <>
            <Textarea
              label="Expression"
              description="True for the devices that carry the label. It is looked at again whenever a device reports something it reads."
              required
              autosize
              minRows={2}
              spellCheck={false}
              maxLength={4000}
              styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
              {...form.getInputProps("expression")}
            />
            {expression.trim() === "" ? (
              <div>
                <Text size="sm" c="dimmed">
                  Begin with one of these, or write your own:
                </Text>
                {examples.map((e) => (
                  <Button
                    key={e.words}
                    size="compact-sm"
                    variant="subtle"
                    onClick={() => form.setFieldValue("expression", e.text)}
                    style={{ display: "block" }}
                  >
                    {e.words}
                  </Button>
                ))}
              </div>
            ) : (
              <Preview expression={expression} onUse={(text) => form.setFieldValue("expression", text)} />
            )}
          </>
        )}
        <Select
          label="Colour"
          allowDeselect={false}
          data={labelColors.map((value) => ({
            value,
            label: value.charAt(0).toUpperCase() + value.slice(1),
          }))}
          renderOption={({ option }) => <ColorName color={option.value} name={option.label} />}
          leftSection={<ColorName color={form.getValues().color} name="" />}
          maw={220}
          {...form.getInputProps("color")}
        />
        {save.error && !said && !isTaken(save.error) && !(seen.overtaken && isOutdated(save.error)) ? (
          <ErrorPanel error={save.error} title="The label was not saved" />
        ) : null}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={save.isPending}>
            Save
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function ColorName({ color, name }: { color: string; name: string }) {
  return (
    <span style={{ display: "inline-flex", alignItems: "center", gap: 8 }}>
      <span className="dot" style={dotOf(color)} />
      {name}
    </span>
  );
}

interface PreviewProps {
  expression: string;
  onUse: (expression: string) => void;
}

function Preview({ expression, onUse }: PreviewProps) {
  const [settled] = useDebouncedValue(expression, 350);
  const query = useQuery(labelPreviewQuery(settled));
  const data = query.data;
  if (query.error) return <ErrorPanel error={query.error} title="The expression does not work" />;
  if (!data) {
    return (
      <Text c="dimmed" role="status">
        <Loader size="xs" mr="xs" /> Looking who matches…
      </Text>
    );
  }
  if (data.error) {
    // What was said of the text before is not put right in the text of now.
    const current = settled === expression && !query.isPlaceholderData;
    return <ExpressionProblem expression={settled} fault={data.error} {...(current ? { onUse } : {})} />;
  }
  return (
    <div role="status">
      <Text fw={550}>
        {data.matches === 0 ? "No device matches now." : `${countWords(data.matches, "device")} match now.`}
      </Text>
      <List size="sm">
        {data.sample.slice(0, fewDevices).map((s) => (
          <List.Item key={s.device_id}>
            <PageLink to="/devices/$deviceId" params={{ deviceId: s.device_id }}>
              {s.name}
            </PageLink>
            {s.why.length > 0 && <span className="quiet"> · {whyWords(s.why)}</span>}
          </List.Item>
        ))}
        {data.matches > fewDevices && (
          <List.Item className="quiet">and {(data.matches - fewDevices).toLocaleString("en")} more</List.Item>
        )}
      </List>
      {data.unknown > 0 && data.unknown === data.looked ? (
        <Alert color="yellow" variant="light" mt="xs">
          No device has reported what this reads
          {data.reads.length > 0 && ` (${data.reads.join(", ")})`}. Is a name misspelt?
        </Alert>
      ) : (
        data.unknown > 0 && (
          <Text size="sm" c="dimmed">
            {countWords(data.unknown, "device")} cannot be told yet: they have not reported what it reads.
          </Text>
        )
      )}
      {data.partial && (
        <Text size="sm" c="dimmed">
          After {data.looked.toLocaleString("en")} devices; there may be more.
        </Text>
      )}
    </div>
  );
}
