import { Button, Group, Stack, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { type ReactNode, useState } from "react";
import { showFieldProblems } from "./form.ts";
import { ErrorPanel } from "./states.tsx";

/** What a person calls a thing, and what it is for. */
export interface Named {
  name: string;
  description: string;
}

interface NameFormProps {
  initial?: Partial<Named>;
  /** "A policy": what needs a name. */
  what: string;
  /** Under the field of the description; null leaves the field out. */
  about?: string | null;
  verb: string;
  failed: string;
  /** More fields, which the caller keeps. */
  children?: ReactNode;
  busy: boolean;
  error: unknown;
  onSave: (v: Named, onError: (e: Error) => void) => void;
  onClose: () => void;
}

/** Name and description of a thing, to make it or to rename it. */
export function NameForm({ initial, what, about, verb, failed, children, ...save }: NameFormProps) {
  const [said, setSaid] = useState(false);
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { name: initial?.name ?? "", description: initial?.description ?? "" },
    validate: { name: (v) => (v.trim() === "" ? `${what} needs a name.` : null) },
  });
  return (
    <form onSubmit={form.onSubmit((v) => save.onSave(v, (e) => setSaid(showFieldProblems(form, e))))}>
      <Stack>
        <TextInput
          label="Name"
          required
          maxLength={80}
          data-autofocus
          key={form.key("name")}
          {...form.getInputProps("name")}
        />
        {about !== null && (
          <Textarea
            label="Description"
            description={about}
            maxLength={2000}
            autosize
            minRows={2}
            key={form.key("description")}
            {...form.getInputProps("description")}
          />
        )}
        {children}
        {save.error && !said ? <ErrorPanel error={save.error} title={failed} /> : null}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={save.onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={save.busy}>
            {verb}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
