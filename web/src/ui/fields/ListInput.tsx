import { Button, Fieldset, Group, Stack, Text } from "@mantine/core";
import { useRef } from "react";
import { asValues, blank, type Value } from "../settingValue.ts";
import { FieldInput, type FieldInputProps } from "./FieldInput.tsx";
import { FieldList } from "./FieldList.tsx";

/** A list whose entries have fields of their own: each in a frame, with its place said. */
export function ListInput({ field, value, onChange, path, problems, readOnly }: FieldInputProps) {
  const add = useRef<HTMLButtonElement>(null);
  const item = field.items;
  if (!item) return null;
  const noun = item.title.toLowerCase();
  const list: readonly Value[] = Array.isArray(value) ? value : [];
  const set = (next: readonly Value[]) => onChange(next.length === 0 && !field.required ? undefined : next);
  const swap = (i: number, by: 1 | -1) => {
    const next = [...list];
    [next[i], next[i + by]] = [next[i + by], next[i]];
    set(next);
  };
  const full = field.max_items !== undefined && list.length >= field.max_items;
  return (
    <Fieldset legend={field.title}>
      <Text size="sm" c="dimmed" mb="xs">
        {field.description}
      </Text>
      {problems.has(path) && (
        <Text size="sm" c="var(--handrail-bad)" role="alert" mb="xs">
          {problems.get(path)}
        </Text>
      )}
      <Stack gap="sm">
        {list.map((entry, i) => {
          const at = `${path}[${i}]`;
          const change = (v: Value) => set(list.map((old, n) => (n === i ? v : old)));
          return (
            // biome-ignore lint/suspicious/noArrayIndexKey: the place is all that tells entries apart
            <Fieldset key={i} legend={`${item.title} ${i + 1} of ${list.length}`}>
              {item.kind === "object" ? (
                <FieldList
                  fields={item.fields ?? []}
                  values={asValues(entry)}
                  onChange={change}
                  path={at}
                  problems={problems}
                  readOnly={readOnly}
                />
              ) : (
                <FieldInput
                  field={item}
                  value={entry}
                  onChange={(v) => change(v ?? "")}
                  path={at}
                  problems={problems}
                  readOnly={readOnly}
                />
              )}
              {!readOnly && (
                <Group justify="flex-end" mt="xs" gap="xs">
                  {i > 0 && (
                    <Button size="compact-sm" variant="default" onClick={() => swap(i, -1)}>
                      Move {noun} {i + 1} up
                    </Button>
                  )}
                  {i < list.length - 1 && (
                    <Button size="compact-sm" variant="default" onClick={() => swap(i, 1)}>
                      Move {noun} {i + 1} down
                    </Button>
                  )}
                  <Button
                    size="compact-sm"
                    variant="subtle"
                    color="red"
                    onClick={() => {
                      set(list.filter((_, n) => n !== i));
                      add.current?.focus();
                    }}
                  >
                    Remove {noun} {i + 1}
                  </Button>
                </Group>
              )}
            </Fieldset>
          );
        })}
      </Stack>
      {!readOnly && (
        <Button
          ref={add}
          mt="sm"
          size="xs"
          variant="default"
          disabled={full}
          onClick={() => set([...list, blank(item)])}
        >
          Add {noun}
        </Button>
      )}
    </Fieldset>
  );
}
