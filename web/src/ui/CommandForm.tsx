import { Alert, Button, Group, NumberInput, Select, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ApiError } from "../api/client.ts";
import {
  commandKindsQuery,
  commandPreviewQuery,
  scriptQuery,
  scriptsQuery,
  useOrderCommands,
} from "../api/commands.ts";
import { useMe } from "../api/me.ts";
import type { CommandOrder, CommandTarget, Field, Ordered, ScriptParameter } from "../api/types.ts";
import { FieldList } from "./fields/FieldList.tsx";
import { notifyDone } from "./notify.ts";
import { may } from "./permissions.ts";
import type { Values } from "./settingValue.ts";
import { ErrorPanel, Loaded } from "./states.tsx";
import { countWords } from "./words.ts";

/** An order that disturbs more devices than these is not given before their number is typed. */
const confirmAbove = 20;

interface CommandFormProps {
  target: CommandTarget;
  /** A kind to begin with. */
  kind?: CommandOrder["kind"];
  onDone: (made: Ordered) => void;
  onClose: () => void;
}

/** Tells one device or many to do something once. */
export function CommandForm({ target, kind: first, onDone, onClose }: CommandFormProps) {
  const kinds = useQuery(commandKindsQuery);
  const preview = useQuery(commandPreviewQuery(target));
  const order = useOrderCommands();
  const [kind, setKind] = useState(first ?? "");
  const [values, setValues] = useState<Values>({});
  const [note, setNote] = useState("");
  const [hours, setHours] = useState<number | string>(168);
  const [said, setSaid] = useState<{ text: string; wrong: boolean }>({ text: "", wrong: false });
  const problems = useMemo(() => {
    const out = new Map<string, string>();
    if (order.error instanceof ApiError) {
      for (const f of order.error.fields) out.set(f.field.replace(/^parameters\./, ""), f.message);
    }
    return out;
  }, [order.error]);
  const placed = order.error instanceof ApiError && order.error.fields.length > 0 && problems.size > 0;
  const reach = preview.data;
  return (
    <Loaded query={kinds}>
      {({ items }) => {
        const chosen = items.find((k) => k.kind === kind);
        const asks = chosen !== undefined && chosen.risk !== "none" && (reach?.devices ?? 0) > confirmAbove;
        return (
          <form
            onSubmit={(e) => {
              e.preventDefault();
              if (!chosen || !reach) return;
              if (asks && said.text.replace(/[\s,.]/g, "") !== String(reach.devices)) {
                setSaid({ ...said, wrong: true });
                return;
              }
              order.mutate(
                {
                  ...target,
                  kind: chosen.kind as CommandOrder["kind"],
                  parameters: values,
                  ...(note ? { note } : {}),
                  expires_at: new Date(Date.now() + Number(hours) * 3_600_000).toISOString(),
                  expect_devices: reach.devices,
                },
                {
                  onSuccess: (made) => {
                    notifyDone(`${countWords(made.bulk.devices, "device")} will be told.`);
                    onDone(made);
                  },
                },
              );
            }}
          >
            <Stack>
              <Text role="status">
                {preview.isError
                  ? ""
                  : reach
                    ? reach.devices === 1
                      ? `For ${reach.sample[0]?.name ?? "one device"}${reach.online ? "" : ", which is offline: it happens when it is back."}`
                      : `For ${countWords(reach.devices, "device")}, ${reach.online.toLocaleString("en")} of them online.`
                    : "Looking whom this reaches…"}
              </Text>
              {preview.isError && <ErrorPanel error={preview.error} onRetry={() => void preview.refetch()} />}
              <Select
                label="What to do"
                required
                allowDeselect={false}
                data={items.map((k) => ({ value: k.kind, label: k.title }))}
                value={kind || null}
                onChange={(v) => {
                  setKind(v ?? "");
                  setValues({});
                  order.reset();
                }}
                {...(chosen ? { description: chosen.description } : {})}
                inputWrapperOrder={["label", "input", "description", "error"]}
                data-autofocus
              />
              {chosen?.kind === "run_script" ? (
                <ScriptFields values={values} onChange={setValues} problems={problems} />
              ) : (
                chosen && (
                  <FieldList
                    fields={chosen.parameters as unknown as Field[]}
                    values={values}
                    onChange={setValues}
                    path=""
                    problems={problems}
                    readOnly={false}
                  />
                )
              )}
              {chosen && (
                <>
                  <TextInput
                    label="Note"
                    description="Why, for colleagues and auditors."
                    value={note}
                    onChange={(e) => setNote(e.currentTarget.value)}
                    maxLength={500}
                  />
                  <NumberInput
                    label="Give up after"
                    description="For devices that do not come online."
                    min={1}
                    max={2160}
                    suffix=" hours"
                    value={hours}
                    onChange={setHours}
                    maw={280}
                  />
                  {chosen.risk === "interrupts" && (
                    <Alert color="yellow" variant="light">
                      This interrupts people who work at{" "}
                      {reach && reach.devices > 1 ? "these devices" : "the device"}.
                    </Alert>
                  )}
                  {asks && (
                    <TextInput
                      label={`Type ${reach?.devices} to say that you mean all of them`}
                      inputMode="numeric"
                      autoComplete="off"
                      required
                      value={said.text}
                      onChange={(e) => setSaid({ text: e.currentTarget.value, wrong: false })}
                      error={said.wrong && `That is not how many devices this reaches: ${reach?.devices}.`}
                      maw={280}
                    />
                  )}
                </>
              )}
              {order.error && !placed && (
                <ErrorPanel error={order.error} title="The command was not ordered" />
              )}
              <Group justify="flex-end" gap="xs">
                <Button variant="default" onClick={onClose}>
                  Cancel
                </Button>
                <Button type="submit" disabled={!chosen || !reach} loading={order.isPending}>
                  {chosen ? chosen.title : "Choose what to do"}
                  {chosen && reach && reach.devices > 1 && ` on ${countWords(reach.devices, "device")}`}
                </Button>
              </Group>
            </Stack>
          </form>
        );
      }}
    </Loaded>
  );
}

interface ScriptFieldsProps {
  values: Values;
  onChange: (values: Values) => void;
  problems: ReadonlyMap<string, string>;
}

/** A script of the library with its parameters, or one typed here. */
function ScriptFields({ values, onChange, problems }: ScriptFieldsProps) {
  const me = useMe();
  const scripts = useQuery(scriptsQuery);
  const id = typeof values.script_id === "string" ? values.script_id : "";
  const detail = useQuery({ ...scriptQuery(id), enabled: id !== "" });
  const newest = detail.data?.versions[0];
  const own = may(me, "script.manage");
  const typed = values.body !== undefined;
  return (
    <>
      <Select
        label="Script"
        required
        searchable
        data={[
          ...(scripts.data?.items ?? []).map((s) => ({ value: s.id, label: s.name })),
          ...(own ? [{ value: "typed", label: "Type one here…" }] : []),
        ]}
        value={typed ? "typed" : id || null}
        onChange={(v) =>
          onChange(
            v === "typed" ? { interpreter: "sh", body: "" } : v ? { script_id: v, parameters: {} } : {},
          )
        }
        error={problems.get("script_id")}
        nothingFoundMessage="The library holds no such script."
      />
      {newest && (
        <FieldList
          fields={(newest.parameters ?? []).map(parameterField)}
          values={(values.parameters as Values | undefined) ?? {}}
          onChange={(parameters) => onChange({ ...values, parameters: texts(parameters) })}
          path="parameters"
          problems={problems}
          readOnly={false}
        />
      )}
      {typed && (
        <>
          <Select
            label="Interpreter"
            allowDeselect={false}
            data={["sh", "bash", "python3"]}
            value={String(values.interpreter)}
            onChange={(v) => v && onChange({ ...values, interpreter: v })}
            maw={200}
          />
          <Textarea
            label="Text"
            required
            autosize
            minRows={6}
            maxRows={20}
            spellCheck={false}
            error={problems.get("body")}
            value={String(values.body)}
            onChange={(e) => onChange({ ...values, body: e.currentTarget.value })}
            styles={{ input: { fontFamily: "var(--mantine-font-family-monospace)" } }}
          />
        </>
      )}
    </>
  );
}

/** Scripts take their values as text. */
function texts(values: Values): Values {
  return Object.fromEntries(Object.entries(values).map(([k, v]) => [k, String(v)]));
}

/** A script's parameter as a field of a form; its value is text all the same. */
function parameterField(p: ScriptParameter): Field {
  const about = {
    name: p.name,
    title: p.title || p.name,
    description: p.help ?? "",
    required: p.required ?? false,
    min: p.min ?? Number.MIN_SAFE_INTEGER,
  };
  const yesNo = ["true", "false"].map((value) => ({ value, title: value === "true" ? "Yes" : "No" }));
  switch (p.type) {
    case "bool":
      return { ...about, kind: "text", choices: yesNo };
    case "choice":
      return { ...about, kind: "text", choices: (p.choices ?? []).map((value) => ({ value, title: value })) };
    case "secret":
      return { ...about, kind: "secret" };
    default:
      return { ...about, kind: "text", ...(p.default ? { default: p.default } : {}) };
  }
}
