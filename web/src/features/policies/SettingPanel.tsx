import { Alert, Badge, Button, Group, Text, Title } from "@mantine/core";
import { useEffect, useId, useRef } from "react";
import type { CatalogueEntry, PolicySetting } from "../../api/types.ts";
import { FieldList } from "../../ui/fields/FieldList.tsx";
import { WarningIcon } from "../../ui/icons.tsx";
import { asValues, type Problems, summary, unplaced } from "../../ui/settingValue.ts";
import { mergeWords } from "../../ui/settingWords.tsx";

interface SettingPanelProps {
  setting: PolicySetting;
  /** What the catalogue says of it; undefined for one this version does not know. */
  entry: CatalogueEntry | undefined;
  problems: Problems | undefined;
  readOnly: boolean;
  /** It was added just now: the page goes to it. */
  isFresh: boolean;
  onChange: (value: unknown) => void;
  onRemove: () => void;
}

const none: Problems = new Map();

/** One setting with the fields the catalogue gives it. */
export function SettingPanel({ setting, entry, problems = none, ...rest }: SettingPanelProps) {
  const { readOnly, isFresh, onChange, onRemove } = rest;
  const id = useId();
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    if (!isFresh) return;
    panel.current?.scrollIntoView?.({ block: "start" });
    panel.current?.focus({ preventScroll: true });
  }, [isFresh]);
  const name = setting.id.includes("/") ? setting.id.slice(setting.id.indexOf("/") + 1) : "";
  const general = unplaced(
    problems,
    (entry?.fields ?? []).map((f) => f.name),
  );
  return (
    <section className="panel panel-pad setting-panel" aria-labelledby={id} ref={panel} tabIndex={-1}>
      <Group justify="space-between" align="flex-start" wrap="nowrap" mb={4}>
        <div style={{ minWidth: 0 }}>
          <Group gap="xs">
            <Title order={2} id={id} className="wrap-anywhere">
              {entry?.title ?? setting.id}
              {name && `: ${name}`}
            </Title>
            {entry?.platforms.map((p) => (
              <Badge key={p} size="sm" variant="default">
                {p}
              </Badge>
            ))}
          </Group>
        </div>
        {!readOnly && (
          <Button size="compact-sm" variant="subtle" color="red" onClick={onRemove} style={{ flexShrink: 0 }}>
            Remove
          </Button>
        )}
      </Group>
      {entry && (
        <Text size="sm" c="dimmed">
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
    </section>
  );
}
