import {
  Alert,
  Button,
  Group,
  List,
  Loader,
  SegmentedControl,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDebouncedValue } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { labelPreviewQuery, useSaveLabel } from "../../api/labels.ts";
import type { Label } from "../../api/labelTypes.ts";
import { showFieldProblems } from "../../ui/form.ts";
import { PageLink } from "../../ui/links.tsx";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";

const examples = [
  "inventory.hardware.memory_bytes < 8u * 1073741824u",
  'device.os_version.startsWith("Debian")',
  'software("openssl").exists(v, version_less(v, "3.0.15"))',
];

/** Makes or changes a label; a smart one shows at once whom it would match. */
export function LabelForm({ label, onClose }: { label?: Label; onClose: () => void }) {
  const save = useSaveLabel(label?.id);
  const [said, setSaid] = useState(false);
  const form = useForm({
    mode: "controlled",
    initialValues: {
      name: label?.name ?? "",
      description: label?.description ?? "",
      kind: label?.kind ?? "smart",
      expression: label?.expression ?? "",
    },
    validate: {
      name: (v) => (v.trim() === "" ? "A label needs a name." : null),
      expression: (v, all) =>
        all.kind === "smart" && v.trim() === "" ? "A smart label needs an expression." : null,
    },
  });
  const { kind, expression } = form.getValues();
  return (
    <form
      onSubmit={form.onSubmit((v) =>
        save.mutate(
          {
            name: v.name,
            description: v.description,
            ...(label ? {} : { kind: v.kind }),
            ...(v.kind === "smart" ? { expression: v.expression } : {}),
          },
          { onSuccess: onClose, onError: (e) => setSaid(showFieldProblems(form, e)) },
        ),
      )}
    >
      <Stack>
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
                  For example:
                </Text>
                {examples.map((e) => (
                  <Button
                    key={e}
                    size="compact-sm"
                    variant="subtle"
                    className="mono"
                    onClick={() => form.setFieldValue("expression", e)}
                    style={{ display: "block" }}
                  >
                    {e}
                  </Button>
                ))}
              </div>
            ) : (
              <Preview expression={expression} />
            )}
          </>
        )}
        {save.error && !said ? <ErrorPanel error={save.error} title="The label was not saved" /> : null}
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

function Preview({ expression }: { expression: string }) {
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
    return (
      <Alert color="red" variant="light" title="The expression does not work" role="alert">
        {data.error.line ? `Line ${data.error.line}, column ${data.error.column ?? 0}: ` : ""}
        {data.error.message}
      </Alert>
    );
  }
  return (
    <div role="status">
      <Text fw={550}>
        {data.matches === 0 ? "No device matches now." : `${countWords(data.matches, "device")} match now.`}
      </Text>
      <List size="sm">
        {data.sample.map((s) => (
          <List.Item key={s.device_id}>
            <PageLink to="/devices/$deviceId" params={{ deviceId: s.device_id }}>
              {s.name}
            </PageLink>
            {s.why && <span className="quiet"> · {s.why}</span>}
          </List.Item>
        ))}
      </List>
    </div>
  );
}
