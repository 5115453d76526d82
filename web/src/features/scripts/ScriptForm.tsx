import {
  Button,
  Checkbox,
  Fieldset,
  Group,
  NumberInput,
  Select,
  Stack,
  TagsInput,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useState } from "react";
import { ApiError } from "../../api/client.ts";
import type { ScriptParameter, ScriptVersion } from "../../api/types.ts";
import { ErrorPanel } from "../../ui/states.tsx";

/** What a script's form holds. */
interface Written {
  name: string;
  description: string;
  interpreter: ScriptVersion["interpreter"];
  body: string;
  parameters: ScriptParameter[];
  run_as: string;
  timeout_seconds: number;
  note: string;
}

interface ScriptFormProps {
  version?: ScriptVersion | undefined;
  name?: string | undefined;
  description?: string | undefined;
  readOnly?: boolean;
  verb: string;
  busy: boolean;
  error: unknown;
  onSubmit: (written: Written) => void;
}

const types = [
  { value: "string", label: "Text" },
  { value: "int", label: "Number" },
  { value: "bool", label: "Yes or no" },
  { value: "choice", label: "Choice" },
  { value: "secret", label: "Secret" },
];

/** A script's text, its parameters and how it runs. */
export function ScriptForm({
  version,
  readOnly = false,
  verb,
  busy,
  error,
  onSubmit,
  ...rest
}: ScriptFormProps) {
  const [w, setW] = useState<Written>({
    name: rest.name ?? "",
    description: rest.description ?? "",
    interpreter: version?.interpreter ?? "sh",
    body: version?.body ?? "",
    parameters: version?.parameters ?? [],
    run_as: version?.run_as ?? "",
    timeout_seconds: version?.timeout_seconds || 300,
    note: "",
  });
  const set = (part: Partial<Written>) => setW({ ...w, ...part });
  const said = (field: string) =>
    error instanceof ApiError ? error.fields.find((f) => f.field === field)?.message : undefined;
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        onSubmit(w);
      }}
    >
      <Stack>
        <TextInput
          label="Name"
          required
          maxLength={120}
          readOnly={readOnly}
          value={w.name}
          error={said("name")}
          onChange={(e) => set({ name: e.currentTarget.value })}
        />
        <TextInput
          label="Description"
          maxLength={2000}
          readOnly={readOnly}
          value={w.description}
          onChange={(e) => set({ description: e.currentTarget.value })}
        />
        <Group align="flex-start" gap="sm">
          <Select
            label="Interpreter"
            allowDeselect={false}
            disabled={readOnly}
            data={["sh", "bash", "python3"]}
            value={w.interpreter}
            onChange={(v) => v && set({ interpreter: v as Written["interpreter"] })}
          />
          <NumberInput
            label="Time limit"
            description="Then it and all it started are ended."
            inputWrapperOrder={["label", "input", "description", "error"]}
            min={1}
            max={86_400}
            suffix=" seconds"
            readOnly={readOnly}
            value={w.timeout_seconds}
            error={said("timeout_seconds")}
            onChange={(v) => typeof v === "number" && set({ timeout_seconds: v })}
          />
          <TextInput
            label="Run as"
            placeholder="root"
            description="An account on the device."
            inputWrapperOrder={["label", "input", "description", "error"]}
            maxLength={64}
            readOnly={readOnly}
            value={w.run_as}
            error={said("run_as")}
            onChange={(e) => set({ run_as: e.currentTarget.value })}
          />
        </Group>
        <Textarea
          label="Text"
          description="Parameters reach it as environment variables: PARAM_ and the name in capitals."
          required
          autosize
          minRows={10}
          maxRows={30}
          spellCheck={false}
          readOnly={readOnly}
          value={w.body}
          error={said("body")}
          onChange={(e) => set({ body: e.currentTarget.value })}
          styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
        />
        {w.parameters.map((p, i) => (
          <ParameterFields
            // biome-ignore lint/suspicious/noArrayIndexKey: the place is all that tells new ones apart
            key={i}
            value={p}
            readOnly={readOnly}
            said={(field) => said(`parameters[${i}].${field}`)}
            onChange={(next) => set({ parameters: w.parameters.map((o, n) => (n === i ? next : o)) })}
            onRemove={() => set({ parameters: w.parameters.filter((_, n) => n !== i) })}
          />
        ))}
        {!readOnly && (
          <>
            <Group>
              <Button
                variant="default"
                size="xs"
                onClick={() => set({ parameters: [...w.parameters, { name: "", type: "string" }] })}
              >
                Add parameter
              </Button>
            </Group>
            <TextInput
              label="Note"
              description="What is new in this version."
              maxLength={500}
              value={w.note}
              onChange={(e) => set({ note: e.currentTarget.value })}
            />
            {error ? <ErrorPanel error={error} title="It was not saved" /> : null}
            <Group justify="flex-end">
              <Button type="submit" loading={busy}>
                {verb}
              </Button>
            </Group>
          </>
        )}
      </Stack>
    </form>
  );
}

interface ParameterFieldsProps {
  value: ScriptParameter;
  readOnly: boolean;
  said: (field: string) => string | undefined;
  onChange: (p: ScriptParameter) => void;
  onRemove: () => void;
}

function ParameterFields({ value: p, readOnly, said, onChange, onRemove }: ParameterFieldsProps) {
  return (
    <Fieldset legend={`Parameter ${p.title || p.name}`}>
      <Stack gap="sm">
        <Group grow align="flex-start">
          <TextInput
            label="Name"
            description="a to z, digits, underscore"
            required
            maxLength={32}
            readOnly={readOnly}
            value={p.name}
            error={said("name")}
            onChange={(e) => onChange({ ...p, name: e.currentTarget.value })}
          />
          <TextInput
            label="Title"
            description="What people read"
            maxLength={120}
            readOnly={readOnly}
            value={p.title ?? ""}
            onChange={(e) => onChange({ ...p, title: e.currentTarget.value })}
          />
          <Select
            label="Type"
            description="Checked before it runs"
            allowDeselect={false}
            disabled={readOnly}
            data={types}
            value={p.type}
            onChange={(v) => v && onChange({ ...p, type: v as ScriptParameter["type"] })}
          />
        </Group>
        {p.type === "choice" && (
          <TagsInput
            label="Choices"
            readOnly={readOnly}
            value={p.choices ?? []}
            onChange={(choices) => onChange({ ...p, choices })}
          />
        )}
        {p.type !== "secret" && (
          <TextInput
            label="Value unless given"
            maxLength={4096}
            readOnly={readOnly}
            value={p.default ?? ""}
            error={said("default")}
            onChange={(e) => onChange({ ...p, default: e.currentTarget.value })}
          />
        )}
        <Group justify="space-between">
          <Checkbox
            label="Must be given"
            checked={p.required ?? false}
            disabled={readOnly}
            onChange={(e) => onChange({ ...p, required: e.currentTarget.checked })}
          />
          {!readOnly && (
            <Button size="compact-sm" variant="subtle" color="red" onClick={onRemove}>
              Remove parameter
            </Button>
          )}
        </Group>
      </Stack>
    </Fieldset>
  );
}
