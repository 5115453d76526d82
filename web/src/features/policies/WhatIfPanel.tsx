import { Alert, List, Loader, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { catalogueQuery } from "../../api/policies.ts";
import type { Effect } from "../../api/types.ts";
import { WarningIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { settingTitle } from "./Differences.tsx";

interface WhatIfPanelProps {
  result: Effect | undefined;
  error: unknown;
  busy: boolean;
}

const verbs: Record<string, string> = {
  added: "new",
  removed: "taken off",
  changed: "changed",
  conflicted: "in conflict",
};

/** For how many devices what would change; the gateway reckons it without doing it. */
export function WhatIfPanel({ result, error, busy }: WhatIfPanelProps) {
  const entries = useQuery(catalogueQuery).data?.items ?? [];
  if (error) return <ErrorPanel error={error} title="The effect could not be reckoned" />;
  if (busy || !result) {
    return (
      <Text c="dimmed" role="status">
        <Loader size="xs" mr="xs" /> Reckoning the effect…
      </Text>
    );
  }
  const conflicts = result.settings.filter((s) => s.kind === "conflicted");
  return (
    <div role="status">
      <Text>
        {result.changed === 0
          ? "No device changes."
          : `${result.changed.toLocaleString("en")} of ${countWords(result.devices, "device")} ${result.changed === 1 ? "changes" : "change"}.`}
      </Text>
      <List size="sm" mt={4}>
        {result.settings.map((s, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: one setting may change in several ways
          <List.Item key={i}>
            {settingTitle(entries, s.id)}: {verbs[s.kind] ?? s.kind} on {countWords(s.devices, "device")}
          </List.Item>
        ))}
        {result.cut && <List.Item>and more kinds of changes</List.Item>}
      </List>
      {result.sample.length > 0 && (
        <Text size="sm" mt={4}>
          Such as{" "}
          {result.sample.slice(0, 5).map((d, i) => (
            <span key={d.id}>
              {i > 0 && ", "}
              <PageLink to="/devices/$deviceId" params={{ deviceId: d.id }} search={{ tab: "settings" }}>
                {d.name}
              </PageLink>
            </span>
          ))}
          .
        </Text>
      )}
      {conflicts.length > 0 && (
        <Alert color="red" icon={<WarningIcon />} mt="sm" title="Policies contradict each other">
          <List size="sm">
            {conflicts.map((c) => (
              <List.Item key={`${c.id} ${c.conflict}`}>
                {settingTitle(entries, c.id)}, on {countWords(c.devices, "device")}: {c.conflict}
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
    </div>
  );
}
