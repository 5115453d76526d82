import {
  Fieldset,
  Input,
  JsonInput,
  MultiSelect,
  NumberInput,
  PasswordInput,
  SegmentedControl,
  Select,
  TagsInput,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useId, useState } from "react";
import type { Field } from "../../api/types.ts";
import { asValues, isKeptSecret, type Problems, type Value } from "../settingValue.ts";
import { durationWords } from "../words.ts";
import { FieldList } from "./FieldList.tsx";
import { ListInput } from "./ListInput.tsx";

export interface FieldInputProps {
  field: Field;
  value: Value;
  /** Undefined: the field is left out. */
  onChange: (value: Value) => void;
  path: string;
  problems: Problems;
  readOnly: boolean;
}

/** One field of a setting, as its kind wants it. */
export function FieldInput(props: FieldInputProps) {
  const { field, value, onChange, path, problems, readOnly } = props;
  const about = {
    label: field.title,
    description: field.description,
    required: field.required ?? false,
    error: problems.get(path),
    readOnly,
  };
  switch (field.kind) {
    case "bool":
      return <Switch {...props} />;
    case "integer":
      return (
        <NumberInput
          {...about}
          description={`${field.description}${spelled(field, value)}`}
          value={typeof value === "number" ? value : ""}
          onChange={(v) => onChange(typeof v === "number" ? v : undefined)}
          allowDecimal={false}
          min={field.min}
          {...(field.max === undefined ? {} : { max: field.max })}
          clampBehavior="none"
          placeholder={placeholder(field)}
          suffix={field.unit ? ` ${field.unit}` : ""}
          styles={width(280)}
        />
      );
    case "secret":
      return <SecretInput {...props} />;
    case "list":
      return <Items {...props} />;
    case "object":
      return (
        <Fieldset legend={field.title}>
          <Text size="sm" c="dimmed" mb="xs">
            {field.description}
          </Text>
          <FieldList
            fields={field.fields ?? []}
            values={asValues(value)}
            onChange={onChange}
            path={path}
            problems={problems}
            readOnly={readOnly}
          />
        </Fieldset>
      );
    case "json":
      return <RawInput {...props} />;
    default:
      return <Words {...props} />;
  }
}

/** What holds while nothing is given; nothing to say where something must be. */
function placeholder(field: Field): string {
  if (field.required) return "";
  if (field.default === undefined) return "Not set";
  const words = field.choices?.find((c) => c.value === field.default)?.title ?? String(field.default);
  return `Default: ${words}${field.unit ? ` ${field.unit}` : ""}`;
}

/** Many seconds in hours and minutes. */
function spelled(field: Field, value: Value): string {
  if (field.unit !== "seconds" || typeof value !== "number" || value < 120) return "";
  return ` ${value.toLocaleString("en")} seconds are ${durationWords(value * 1000)}.`;
}

/** The box is as wide as what goes in; the words about it may be longer. */
const width = (px: number) => ({ wrapper: { maxWidth: px } });

function Words({ field, value, onChange, path, problems, readOnly }: FieldInputProps) {
  const about = {
    label: field.title,
    description: field.description,
    required: field.required ?? false,
    error: problems.get(path),
    value: typeof value === "string" ? value : "",
    placeholder: placeholder(field),
  };
  const change = (text: string) => onChange(text === "" && !field.required ? undefined : text);
  if (field.choices && field.choices.length > 0) {
    return (
      <Select
        {...about}
        value={typeof value === "string" ? value : null}
        data={field.choices.map((c) => ({ value: c.value, label: c.title }))}
        onChange={(v) => onChange(v ?? undefined)}
        placeholder={field.required ? "Choose one" : about.placeholder}
        clearable={!field.required}
        disabled={readOnly}
        styles={width(420)}
      />
    );
  }
  if (field.multiline) {
    return (
      <Textarea
        {...about}
        readOnly={readOnly}
        onChange={(e) => change(e.currentTarget.value)}
        autosize
        minRows={3}
        maxRows={18}
        spellCheck={false}
        styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
      />
    );
  }
  return (
    <TextInput
      {...about}
      readOnly={readOnly}
      onChange={(e) => change(e.currentTarget.value)}
      spellCheck={false}
      styles={width(560)}
    />
  );
}

/** On, off, or left as the device has it. */
function Switch({ field, value, onChange, path, problems, readOnly }: FieldInputProps) {
  const id = useId();
  const mayBeUnset = !field.required;
  const unset = field.default === undefined ? "Not set" : `Default: ${field.default === true ? "on" : "off"}`;
  return (
    <fieldset className="setting-switch" aria-describedby={`${id}-about`}>
      <legend>
        <Input.Label component="span" required={field.required ?? false}>
          {field.title}
        </Input.Label>
      </legend>
      <Input.Description id={`${id}-about`}>{field.description}</Input.Description>
      <SegmentedControl
        mt={4}
        size="xs"
        aria-label={field.title}
        readOnly={readOnly}
        value={typeof value === "boolean" ? String(value) : "unset"}
        onChange={(v) => onChange(v === "unset" ? undefined : v === "true")}
        data={[
          ...(mayBeUnset ? [{ value: "unset", label: unset }] : []),
          { value: "true", label: "On" },
          { value: "false", label: "Off" },
        ]}
      />
      {problems.has(path) && (
        <Input.Error role="alert" mt={4}>
          {problems.get(path)}
        </Input.Error>
      )}
    </fieldset>
  );
}

/** A secret is typed, or kept as it is; it is never shown again. */
function SecretInput({ field, value, onChange, path, problems, readOnly }: FieldInputProps) {
  const [kept, setKept] = useState(isKeptSecret(value) ? value : undefined);
  if (!kept && isKeptSecret(value)) setKept(value);
  const text = typeof value === "string" ? value : "";
  return (
    <PasswordInput
      label={field.title}
      description={field.description}
      required={field.required ?? false}
      error={problems.get(path)}
      readOnly={readOnly}
      value={text}
      autoComplete="new-password"
      placeholder={isKeptSecret(value) ? "Kept; type to replace it" : placeholder(field)}
      onChange={(e) => {
        const typed = e.currentTarget.value;
        onChange(typed === "" ? kept : typed);
      }}
      styles={width(420)}
    />
  );
}

/** Short lists of words as tags, longer entries one below the other. */
function Items(props: FieldInputProps) {
  const { field, value, onChange, path, problems, readOnly } = props;
  const item = field.items;
  const list = Array.isArray(value) ? value : [];
  if (item?.kind !== "text" || item.multiline) return <ListInput {...props} />;
  const about = {
    label: field.title,
    description: field.description,
    required: field.required ?? false,
    error: problems.get(path) ?? firstBelow(problems, path),
    value: list.map(String),
    onChange: (v: string[]) => onChange(v.length === 0 && !field.required ? undefined : v),
    readOnly,
  };
  if (item.choices && item.choices.length > 0) {
    return (
      <MultiSelect
        {...about}
        data={item.choices.map((c) => ({ value: c.value, label: c.title }))}
        clearable
        styles={width(560)}
      />
    );
  }
  return (
    <TagsInput
      {...about}
      splitChars={[",", "\n"]}
      acceptValueOnBlur
      placeholder="Type, then Enter"
      {...(field.max_items === undefined ? {} : { maxTags: field.max_items })}
    />
  );
}

/** The first problem of an entry of a list whose entries have no place of their own. */
function firstBelow(problems: Problems, path: string): string | undefined {
  for (const [at, message] of problems) {
    if (!at.startsWith(`${path}[`)) continue;
    const nth = Number(at.slice(path.length + 1, at.indexOf("]", path.length))) + 1;
    return Number.isFinite(nth) ? `Entry ${nth}: ${message}` : message;
  }
  return undefined;
}

/** A JSON object of somebody else's schema. It counts once it can be read. */
function RawInput({ field, value, onChange, path, problems, readOnly }: FieldInputProps) {
  const [text, setText] = useState(() => (value === undefined ? "" : JSON.stringify(value, null, 2)));
  const [wrong, setWrong] = useState("");
  return (
    <JsonInput
      label={field.title}
      description={field.description}
      required={field.required ?? false}
      error={wrong || problems.get(path)}
      readOnly={readOnly}
      autosize
      minRows={4}
      maxRows={20}
      value={text}
      onChange={(typed) => {
        setText(typed);
        if (typed.trim() === "") {
          setWrong("");
          onChange(undefined);
          return;
        }
        try {
          onChange(JSON.parse(typed) as Value);
          setWrong("");
        } catch (error) {
          setWrong(error instanceof Error ? `Not JSON yet: ${error.message}` : "Not JSON yet.");
        }
      }}
    />
  );
}
