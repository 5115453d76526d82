import { Alert, Badge, Button, Group, Text, Title, UnstyledButton } from "@mantine/core";
import { useEffect, useId, useRef } from "react";
import type { CatalogueEntry, PolicySetting } from "../../api/types.ts";
import { FieldList } from "../../ui/fields/FieldList.tsx";
import { ChevronIcon, WarningIcon } from "../../ui/icons.tsx";
import { Mark } from "../../ui/marks.tsx";
import { asValues, type Problems, summary, unplaced } from "../../ui/settingValue.ts";
import { mergeWords } from "../../ui/settingWords.tsx";
import { countWords } from "../../ui/words.ts";
import { nameOf, valuesLine } from "./settingLine.ts";

interface SettingPanelProps {
  setting: PolicySetting;
  /** What the catalogue says of it; undefined for one this version does not know. */
  entry: CatalogueEntry | undefined;
  problems: Problems | undefined;
  readOnly: boolean;
  opened: boolean;
  onToggle: () => void;
  /** It was added just now: the page goes to it. */
  isFresh: boolean;
  onChange: (value: unknown) => void;
  onRemove: () => void;
}

const none: Problems = new Map();

/** One setting: a line that says what it comes to, and behind it the fields the catalogue gives it. */
export function SettingPanel({ setting, entry, problems = none, opened, ...rest }: SettingPanelProps) {
  const { readOnly, isFresh, onToggle, onChange, onRemove } = rest;
  const id = useId();
  const panel = useRef<HTMLElement>(null);
  // Fields keep text of their own, such as a number half typed: once made, they stay.
  const made = useRef(opened);
  if (opened) made.current = true;
  useEffect(() => {
    if (!isFresh) return;
    panel.current?.scrollIntoView?.({ block: "start" });
    panel.current?.focus({ preventScroll: true });
  }, [isFresh]);
  return (
    <section className="panel panel-pad setting-panel" aria-labelledby={id} ref={panel} tabIndex={-1}>
      <Group justify="space-between" align="flex-start" wrap="nowrap">
        <Title order={2} style={{ minWidth: 0, flex: 1 }}>
          <UnstyledButton
            className="setting-toggle"
            aria-expanded={opened}
            aria-controls={`${id}-fields`}
            onClick={onToggle}
          >
            <span className="setting-chevron" data-open={opened || undefined} aria-hidden="true">
              <ChevronIcon size={18} />
            </span>
            <span id={id} className="wrap-anywhere">
              {nameOf(setting.id, entry)}
            </span>
            {entry?.platforms.map((p) => (
              <Badge key={p} size="sm" variant="default">
                {p}
              </Badge>
            ))}
          </UnstyledButton>
        </Title>
        {!readOnly && (
          <Button
            size="compact-sm"
            variant="subtle"
            color="red"
            onClick={onRemove}
            aria-describedby={id}
            style={{ flexShrink: 0 }}
          >
            Remove
          </Button>
        )}
      </Group>
      {!opened && (
        <div className="setting-line">
          {problems.size > 0 && (
            <Mark color="var(--handrail-bad)">
              {countWords(problems.size, "field needs", "fields need")} another look
            </Mark>
          )}
          <Text size="sm" c="dimmed" className="one-line">
            {valuesLine(entry, setting.value)}
          </Text>
        </div>
      )}
      <div id={`${id}-fields`} hidden={!opened}>
        {made.current && <Fields {...{ setting, entry, problems, readOnly, onChange }} />}
      </div>
    </section>
  );
}

type FieldsProps = Pick<SettingPanelProps, "setting" | "entry" | "readOnly" | "onChange"> & {
  problems: Problems;
};

function Fields({ setting, entry, problems, readOnly, onChange }: FieldsProps) {
  const general = unplaced(
    problems,
    (entry?.fields ?? []).map((f) => f.name),
  );
  return (
    <>
      {entry && (
        <Text size="sm" c="dimmed" mt={4}>
          {entry.description} {mergeWords(entry.merge)}
        </Text>
      )}
      {entry && (entry.risk.cuts_network || entry.risk.cuts_sign_in) && (
        <Alert color="yellow" icon={<WarningIcon />} my="xs" variant="light">
          {entry.risk.words ||
            (entry.risk.cuts_network
              ? "This can cut devices off. A device that cannot reach its gateway afterwards undoes it by itself."
              : "This can lock people out. Try it on a few devices first.")}
        </Alert>
      )}
      {general.map((message) => (
        <Alert key={message} color="red" my="xs" variant="light" role="alert">
          {message}
        </Alert>
      ))}
      {entry ? (
        <div style={{ marginTop: "0.75rem" }}>
          <FieldList
            fields={entry.fields}
            values={asValues(setting.value)}
            onChange={onChange}
            path=""
            problems={problems}
            readOnly={readOnly}
          />
        </div>
      ) : (
        <Text className="mono wrap-anywhere">{summary(setting.value)}</Text>
      )}
    </>
  );
}
