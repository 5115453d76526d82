import { Stack } from "@mantine/core";
import type { Field } from "../../api/types.ts";
import { below, holds, type Problems, type Values, withValue } from "../settingValue.ts";
import { FieldInput } from "./FieldInput.tsx";

interface FieldListProps {
  fields: readonly Field[];
  values: Values;
  onChange: (values: Values) => void;
  path: string;
  problems: Problems;
  readOnly: boolean;
}

/** The fields that mean something, given the values of the others. */
export function FieldList({ fields, values, onChange, path, problems, readOnly }: FieldListProps) {
  return (
    <Stack gap="md">
      {fields
        .filter((f) => holds(f, fields, values))
        .map((f) => (
          <FieldInput
            key={f.name}
            field={f}
            value={values[f.name]}
            onChange={(v) => onChange(withValue(values, f.name, v))}
            path={below(path, f.name)}
            problems={problems}
            readOnly={readOnly}
          />
        ))}
    </Stack>
  );
}
