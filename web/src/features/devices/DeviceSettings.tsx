import { Badge, Button, Collapse, Group, Text, Title } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery } from "@tanstack/react-query";
import { useId } from "react";
import { sentence } from "../../api/client.ts";
import { labelsQuery } from "../../api/labels.ts";
import { catalogueQuery, deviceSettingsQuery } from "../../api/policies.ts";
import type { Device, Field, SettingClaim, SettingOfDevice } from "../../api/types.ts";
import { pathWords } from "../../ui/groupTree.ts";
import { PolicyIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { asValues, summary, valueWords } from "../../ui/settingValue.ts";
import { mergeWords, SettingMark, settingStates } from "../../ui/settingWords.tsx";
import { Empty, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";

/** What the device must be, setting by setting: whether it is, and who says so. */
export function DeviceSettings({ device }: { device: Device }) {
  const query = useQuery(deviceSettingsQuery(device.id));
  return (
    <Loaded query={query}>
      {(data) =>
        data.settings.length === 0 ? (
          <div className="panel">
            <Empty icon={<PolicyIcon size={36} />} title="No policy reaches this device">
              Assign one to its group or to a label it carries.
            </Empty>
          </div>
        ) : (
          <>
            <Text size="sm" c="dimmed" mb="sm" role="status">
              {data.current
                ? `${countWords(data.settings.length, "setting")}; the device has answered for all of them.`
                : device.state === "online"
                  ? "The device is being told of a change."
                  : "The device is told of the latest change when it is back online."}
            </Text>
            <ul className="bare-list">
              {[...data.settings]
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
  const fields = useQuery(catalogueQuery).data?.items.find((e) => e.key === s.id.split("/")[0])?.fields ?? [];
  const id = useId();
  const name = s.id.includes("/") ? s.id.slice(s.id.indexOf("/") + 1) : "";
  const words = s.conflict || s.message;
  return (
    <li className="panel panel-pad" style={{ marginBottom: "0.5rem" }}>
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <div style={{ minWidth: 0 }}>
          <Title order={2} size="h3" className="wrap-anywhere">
            {s.title}
            {name && `: ${name}`}
          </Title>
          <Group gap="xs" c="dimmed" fz="sm">
            <SettingMark state={s.state} />
            {s.since_at && <Time at={s.since_at} />}
            <span>·</span>
            <PolicyName policy={s.policy} />
            {(s.mended ?? 0) > 0 && <span>· mended {countWords(s.mended ?? 0, "time")}</span>}
            {s.leaving && <span>· being taken off</span>}
          </Group>
          {words && <Text mt={2}>{sentence(words)}</Text>}
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
          {s.value !== undefined && (
            <>
              <dt>Wanted</dt>
              <dd>
                <ValueList fields={fields} value={s.value} />
              </dd>
            </>
          )}
          {s.observed !== undefined && (
            <>
              <dt>Found on the device</dt>
              <dd>
                <ValueList fields={fields} value={s.observed} />
              </dd>
            </>
          )}
          {s.claims.length > 0 && (
            <>
              <dt>What policies say</dt>
              <dd>
                <ul className="bare-list">
                  {s.claims.map((c) => (
                    <Claim
                      key={`${c.policy.id} ${c.assignment}`}
                      claim={c}
                      fields={fields}
                      merge={s.merge}
                      isConflict={s.state === "conflict"}
                    />
                  ))}
                </ul>
                {s.merge && <Text size="sm">{mergeWords(s.merge)}</Text>}
                {s.tied && (
                  <Text size="sm">
                    Two have the same priority and are equally near; give one a higher priority to choose.
                  </Text>
                )}
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

/** What one policy says, whether it counts, and how it reaches the device. */
function Claim({
  claim: c,
  fields: all,
  merge,
  isConflict,
}: {
  claim: SettingClaim;
  fields: readonly Field[];
  merge: string | undefined;
  isConflict: boolean;
}) {
  const labels = useQuery(labelsQuery).data?.items ?? [];
  const via = c.via.label
    ? `label ${labels.find((l) => l.id === c.via.label)?.name ?? c.via.label}`
    : `group ${pathWords(c.via.group_path ?? [])}`;
  const fields = (c.fields ?? []).map((name) => all.find((f) => f.name === name)?.title ?? name);
  return (
    <li style={{ marginBottom: "0.5rem" }}>
      <PolicyName policy={c.policy} /> <span className="quiet">by {via}</span>{" "}
      {c.won ? (
        <Badge size="sm" variant="light">
          {fields.length > 0 && merge !== "priority" ? `gives ${fields.join(", ")}` : "counts"}
        </Badge>
      ) : (
        <Badge size="sm" variant="default">
          {isConflict ? "contradicts" : "outvoted"}
        </Badge>
      )}
      <div className="quiet wrap-anywhere">
        <ValueList fields={all} value={c.value} />
      </div>
    </li>
  );
}

function PolicyName({ policy }: { policy: SettingOfDevice["policy"] }) {
  if (!policy) return <>several policies</>;
  return (
    <PageLink to="/policies/$policyId" params={{ policyId: policy.id }}>
      {policy.name} {policy.version > 0 && `v${policy.version}`}
    </PageLink>
  );
}

/** A value field by field, in the words of its form. */
function ValueList({ fields, value }: { fields: readonly Field[]; value: unknown }) {
  const place = (name: string) => fields.findIndex((f) => f.name === name);
  const entries = Object.entries(asValues(value)).sort(([a], [b]) => place(a) - place(b));
  if (entries.length === 0)
    return <>{asValues(value) === value ? "the defaults of its fields" : summary(value)}</>;
  return (
    <ul className="bare-list">
      {entries.map(([k, v]) => {
        const field = fields.find((f) => f.name === k);
        return (
          <li key={k}>
            <span className="quiet">{field?.title ?? k.replaceAll("_", " ")}:</span> {valueWords(field, v)}
          </li>
        );
      })}
    </ul>
  );
}
