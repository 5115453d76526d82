import { Group, Pill } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { DeviceFilter } from "../../api/devices.ts";
import { labelsQuery } from "../../api/labels.ts";
import { policyQuery } from "../../api/policies.ts";
import { softwareVersionsQuery } from "../../api/software.ts";

interface ActiveFiltersProps {
  filter: DeviceFilter;
  onFilter: (filter: DeviceFilter) => void;
}

/** The filters that no field shows, as words that can be taken away: links from numbers lead here. */
export function ActiveFilters({ filter, onFilter }: ActiveFiltersProps) {
  const labels = useQuery({ ...labelsQuery, enabled: filter.label !== undefined }).data?.items ?? [];
  const policy = useQuery({ ...policyQuery(filter.policy ?? ""), enabled: filter.policy !== undefined }).data;
  const [softwareId = "", versionId] = (filter.software_id ?? "").split("/");
  const software = useQuery({ ...softwareVersionsQuery(softwareId), enabled: softwareId !== "" }).data;
  const version = software?.versions.find((v) => v.id === versionId)?.version ?? "";
  const word = (s: string) => s.replaceAll("_", " ");
  const shown: [keyof DeviceFilter, string][] = [];
  if (filter.label) {
    shown.push(["label", `Label ${labels.find((l) => l.id === filter.label)?.name ?? filter.label}`]);
  }
  if (filter.policy) shown.push(["policy", `Policy ${policy?.name ?? filter.policy}`]);
  if (filter.policy_state) shown.push(["policy_state", `Settings ${word(filter.policy_state)}`]);
  if (filter.setting) shown.push(["setting", `Setting ${filter.setting}`]);
  if (filter.setting_state) shown.push(["setting_state", `Setting ${word(filter.setting_state)}`]);
  if (filter.rule) shown.push(["rule", `Rule ${filter.rule}`]);
  if (filter.rule_state) shown.push(["rule_state", `Rule ${word(filter.rule_state)}`]);
  if (filter.compliance) shown.push(["compliance", `As a whole ${word(filter.compliance)}`]);
  if (filter.software) {
    shown.push(["software", `Software ${filter.software} ${filter.software_version ?? ""}`.trim()]);
  }
  if (filter.software_id) {
    shown.push(["software_id", `Software ${software?.name ?? softwareId} ${version}`.trim()]);
  }
  if (filter.encrypted) shown.push(["encrypted", filter.encrypted === "yes" ? "Encrypted" : "Not encrypted"]);
  if (shown.length === 0) return null;
  return (
    <Group gap="xs" mb="sm">
      {shown.map(([key, text]) => (
        <Pill
          key={key}
          size="md"
          withRemoveButton
          removeButtonProps={{
            "aria-label": `Take away the filter ${text}`,
            "aria-hidden": false,
            tabIndex: 0,
          }}
          onRemove={() => {
            const { [key]: _, ...rest } = filter;
            onFilter(rest);
          }}
        >
          {text}
        </Pill>
      ))}
    </Group>
  );
}
