import { Alert, List, Loader, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { catalogueQuery } from "../../api/policies.ts";
import type { WhatIf } from "../../api/policyTypes.ts";
import { WarningIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { settingTitle } from "./Differences.tsx";

interface WhatIfPanelProps {
  result: WhatIf | undefined;
  error: unknown;
  busy: boolean;
}

const verbs = { added: "gain", removed: "lose", changed: "change" };

/** For how many devices what would change; the gateway reckons it without doing it. */
export function WhatIfPanel({ result, error, busy }: WhatIfPanelProps) {
  const entries = useQuery(catalogueQuery).data?.entries ?? [];
  if (error) return <ErrorPanel error={error} title="The effect could not be reckoned" />;
  if (busy || !result) {
    return (
      <Text c="dimmed" role="status">
        <Loader size="xs" mr="xs" /> Reckoning the effect…
      </Text>
    );
  }
  return (
    <div role="status">
      <Text>
        {result.changed === 0
          ? "No device changes."
          : `${countWords(result.changed, "device")} of ${result.devices.toLocaleString("en")} change.`}
      </Text>
      <List size="sm" mt={4}>
        {result.settings.map((s) => (
          <List.Item key={`${s.id} ${s.change}`}>
            {countWords(s.devices, "device")} {verbs[s.change]} {settingTitle(entries, s.id)}
            {s.example && (
              <>
                {", such as "}
                <PageLink
                  to="/devices/$deviceId"
                  params={{ deviceId: s.example.device_id }}
                  search={{ tab: "settings" }}
                >
                  {s.example.name}
                </PageLink>
              </>
            )}
          </List.Item>
        ))}
      </List>
      {result.conflicts.length > 0 && (
        <Alert color="red" icon={<WarningIcon />} mt="sm" title="Policies contradict each other">
          <List size="sm">
            {result.conflicts.map((c) => (
              <List.Item key={c.id}>
                {settingTitle(entries, c.id)} on {countWords(c.devices, "device")}: {c.policies.join(", ")}.
                It is not applied there until they agree.
              </List.Item>
            ))}
          </List>
        </Alert>
      )}
    </div>
  );
}
