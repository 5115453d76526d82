import { Badge, Button, Collapse, Group, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { deviceSettingsQuery } from "../../api/policies.ts";
import type { SettingOfDevice, SettingSource } from "../../api/policyTypes.ts";
import type { Device } from "../../api/types.ts";
import { PolicyIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { asValues, summary } from "../../ui/settingValue.ts";
import { SettingMark, settingStates } from "../../ui/settingWords.tsx";
import { Empty, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";

/** What the device must be, setting by setting: whether it is, and who says so. */
export function DeviceSettings({ device }: { device: Device }) {
  const query = useQuery(deviceSettingsQuery(device.id));
  return (
    <Loaded query={query}>
      {(data) =>
        data.items.length === 0 ? (
          <div className="panel">
            <Empty icon={<PolicyIcon size={36} />} title="No policy reaches this device">
              Assign one to its group or to a label it carries.
            </Empty>
          </div>
        ) : (
          <>
            <Text size="sm" c="dimmed" mb="sm" role="status">
              {data.reported_generation >= data.generation
                ? `${countWords(data.items.length, "setting")}; the device has answered for all of them.`
                : device.state === "online"
                  ? "The device is being told of a change."
                  : "The device is told of the latest change when it is back online."}
            </Text>
            <ul className="plain-list">
              {[...data.items]
                .sort(
                  (a, b) =>
                    settingStates.indexOf(a.state) - settingStates.indexOf(b.state) ||
                    a.title.localeCompare(b.title),
                )
                .map((s) => (
                  <SettingRow key={s.id} setting={s} />
                ))}
            </ul>
          </>
        )
      }
    </Loaded>
  );
}

function SettingRow({ setting: s }: { setting: SettingOfDevice }) {
  const [opened, { toggle }] = useDisclosure(s.state === "failed" || s.state === "conflict");
  const id = useId();
  const name = s.id.includes("/") ? s.id.slice(s.id.indexOf("/") + 1) : "";
  return (
    <li className="panel panel-pad" style={{ marginBottom: "0.5rem" }}>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Title order={3} className="wrap-anywhere">
            {s.title}
            {name && `: ${name}`}
          </Title>
          <Text size="sm" c="dimmed">
            <PolicyName source={s.winner} /> · <SettingMark state={s.state} />
            {s.since && (
              <>
                {" "}
                since <Time at={s.since} />
              </>
            )}
            {(s.mended ?? 0) > 0 && ` · mended ${countWords(s.mended ?? 0, "time")}`}
          </Text>
          {s.message && <Text mt={2}>{s.message}</Text>}
        </div>
        <Button
          size="compact-sm"
          variant="subtle"
          onClick={toggle}
          aria-expanded={opened}
          aria-controls={id}
          style={{ flexShrink: 0 }}
        >
          {opened ? "Less" : "Why?"}
        </Button>
      </Group>
      <Collapse expanded={opened} id={id}>
        <dl className="facts" style={{ marginTop: "0.75rem" }}>
          <dt>Wanted</dt>
          <dd>
            <ValueList value={s.value} />
          </dd>
          {s.observed !== undefined && (
            <>
              <dt>Found on the device</dt>
              <dd>
                <ValueList value={s.observed} />
              </dd>
            </>
          )}
          <dt>Comes from</dt>
          <dd>
            <PolicyName source={s.winner} />
            {s.winner.version > 0 && `, version ${s.winner.version}`}
            {s.winner.via && `, assigned to ${s.winner.via}`}
          </dd>
          {s.losers.length > 0 && (
            <>
              <dt>Outvoted</dt>
              <dd>
                {s.losers.map((l) => (
                  <div key={`${l.policy_id} ${l.version}`}>
                    <PolicyName source={l} />
                    {l.via && <span className="quiet"> (assigned to {l.via})</span>}
                    {l.value !== undefined && <>: {summary(l.value)}</>}
                  </div>
                ))}
              </dd>
            </>
          )}
          <dt>Setting</dt>
          <dd className="mono">{s.id}</dd>
        </dl>
      </Collapse>
    </li>
  );
}

function PolicyName({ source }: { source: SettingSource }) {
  if (!source.policy_id) return <Badge variant="light">several policies</Badge>;
  return (
    <PageLink to="/policies/$policyId" params={{ policyId: source.policy_id }}>
      {source.policy_name || source.policy_id}
    </PageLink>
  );
}

function ValueList({ value }: { value: unknown }) {
  const entries = Object.entries(asValues(value));
  if (entries.length === 0) return <>{summary(value)}</>;
  return (
    <ul className="plain-list">
      {entries.map(([k, v]) => (
        <li key={k}>
          <span className="quiet">{k.replaceAll("_", " ")}:</span> {summary(v)}
        </li>
      ))}
    </ul>
  );
}
