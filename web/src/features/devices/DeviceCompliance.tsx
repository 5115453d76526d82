import { Alert, Button, Group, Loader, Modal, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useId, useState } from "react";
import { deviceComplianceQuery, useRemediate } from "../../api/compliance.ts";
import type { ComplianceState, Device, DeviceComplianceItem, Mending } from "../../api/types.ts";
import {
  ComplianceMark,
  complianceStates,
  complianceWords,
  evidenceWords,
  SeverityMark,
  severityOrder,
} from "../../ui/complianceWords.tsx";
import { ComplianceIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { notifyDone, notifyFailed } from "../../ui/notify.ts";
import { Empty, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { WaiverForm } from "../../ui/WaiverForm.tsx";
import { countWords, dayOf } from "../../ui/words.ts";

/** Where the device stands under each rule, now or on a day in the past, and what mends it. */
export function DeviceCompliance({ device }: { device: Device }) {
  const [day, setDay] = useState("");
  const end = day ? new Date(`${day}T23:59:59`) : undefined;
  const asOf = end && end.getTime() < Date.now() ? end.toISOString() : undefined;
  const query = useQuery(deviceComplianceQuery(device.id, asOf));
  const [waiving, setWaiving] = useState<DeviceComplianceItem | null>(null);
  return (
    <>
      <Loaded query={query}>
        {(c) =>
          c.items.length === 0 ? (
            <div className="panel">
              <Empty icon={<ComplianceIcon size={36} />} title="Not checked yet">
                {asOf
                  ? "The device was not checked by then."
                  : "It is checked once it has reported its inventory."}
              </Empty>
            </div>
          ) : (
            <Stack>
              <Group justify="space-between">
                <Text role="status">
                  <ComplianceMark state={c.overall} /> ·{" "}
                  {complianceStates
                    .filter((s) => c.counts[s] > 0)
                    .map((s) => `${c.counts[s]} ${complianceWords(s).toLowerCase()}`)
                    .join(", ")}
                  {c.checked_at && !asOf && (
                    <span className="quiet">
                      {" "}
                      · checked <Time at={c.checked_at} />
                    </span>
                  )}
                </Text>
                <TextInput
                  type="date"
                  size="xs"
                  aria-label="As of a day in the past"
                  value={day}
                  max={dayOf(Date.now())}
                  onChange={(e) => setDay(e.currentTarget.value)}
                />
              </Group>
              {complianceStates.map((state) => (
                <Items
                  key={state}
                  state={state}
                  items={c.items.filter((i) => i.state === state)}
                  device={device}
                  past={asOf !== undefined}
                  onWaive={setWaiving}
                />
              ))}
            </Stack>
          )
        }
      </Loaded>
      <Modal
        opened={waiving !== null}
        onClose={() => setWaiving(null)}
        title={<Text fw={650}>Waive “{waiving?.title}” for this device</Text>}
      >
        {waiving && <WaiverForm rule={waiving.rule} device={device.id} onClose={() => setWaiving(null)} />}
      </Modal>
    </>
  );
}

/** How the last remedy by one click goes: on its way, done, or failed and why. */
function MendingLine({ mending: m, broken }: { mending: Mending; broken: boolean }) {
  const ordered = (
    <span className="quiet">
      {" "}
      Ordered by {m.by} <Time at={m.at} />.
    </span>
  );
  const more = m.bulk_id ? (
    <>
      {" "}
      <PageLink to="/commands/$bulkId" params={{ bulkId: m.bulk_id }} size="sm">
        The command
      </PageLink>
    </>
  ) : m.policy_id ? (
    <>
      {" "}
      <PageLink to="/policies/$policyId" params={{ policyId: m.policy_id }} size="sm">
        The policy
      </PageLink>
    </>
  ) : null;
  if (m.state === "failed") {
    return (
      <Alert color="red" variant="light" mt={4} py={6}>
        It could not be mended. {m.message}
        {ordered}
        {more}
      </Alert>
    );
  }
  if (m.state === "pending") {
    return (
      <Text size="sm" role="status">
        <Loader size={12} mr={6} aria-hidden="true" />
        Being mended. {m.message}
        {ordered}
        {more}
      </Text>
    );
  }
  return (
    <Text size="sm" role="status">
      {broken ? "The device did what the remedy says, but breaks the rule still." : "Mended."} {m.message}
      {ordered}
      {more}
    </Text>
  );
}

interface ItemsProps {
  state: ComplianceState;
  items: DeviceComplianceItem[];
  device: Device;
  past: boolean;
  onWaive: (item: DeviceComplianceItem) => void;
}

/** The rules in one state; the good ones are folded away. */
function Items({ state, items, device, past, onWaive }: ItemsProps) {
  const id = useId();
  if (items.length === 0) return null;
  const sorted = [...items].sort(
    (a, b) =>
      severityOrder.indexOf(a.severity) - severityOrder.indexOf(b.severity) || a.title.localeCompare(b.title),
  );
  const list = (
    <ul className="bare-list">
      {sorted.map((i) => (
        <Item key={i.rule} item={i} device={device} past={past} onWaive={onWaive} />
      ))}
    </ul>
  );
  const quiet = state === "compliant" || state === "not_applicable" || state === "unknown";
  const heading = `${complianceWords(state)} · ${countWords(items.length, "rule")}`;
  return quiet ? (
    <details className="panel panel-pad">
      <summary>
        <Text component="span" fw={650}>
          {heading}
        </Text>
      </summary>
      {list}
    </details>
  ) : (
    <section className="panel panel-pad" aria-labelledby={id}>
      <Title order={2} id={id} mb="xs">
        {heading}
      </Title>
      {list}
    </section>
  );
}

function Item({
  item: i,
  device,
  past,
  onWaive,
}: Omit<ItemsProps, "state" | "items"> & { item: DeviceComplianceItem }) {
  const mend = useRemediate();
  const broken = i.state === "non_compliant" || i.state === "in_grace";
  const evidence = evidenceWords(i.observed ?? i.evidence);
  const mayMend = device.may.includes("command.run");
  return (
    <li className="tree-row" style={{ alignItems: "flex-start", flexWrap: "wrap" }}>
      <div style={{ flex: "1 1 16rem", minWidth: 0 }}>
        <Group gap="sm">
          <PageLink to="/compliance/rules/$slug" params={{ slug: i.rule }} fw={550}>
            {i.title}
          </PageLink>
          <SeverityMark severity={i.severity} />
          <span className="quiet">
            since <Time at={i.broken_since ?? i.since} />
          </span>
        </Group>
        {i.message && <Text size="sm">{i.message}</Text>}
        {evidence && (
          <Text size="sm" className="wrap-anywhere">
            <span className="quiet">Found:</span> {evidence}
          </Text>
        )}
        {broken && i.remediation && (
          <Text size="sm">
            <span className="quiet">To mend it:</span> {i.remediation}
          </Text>
        )}
        {broken && i.fix?.note && (
          <Text size="sm">
            <span className="quiet">Before you click:</span> {i.fix.note}
          </Text>
        )}
        {i.grace_until && i.state === "in_grace" && (
          <Text size="sm">
            Broken, but in grace: it counts as not compliant from <Time at={i.grace_until} /> on.
          </Text>
        )}
        {i.mending && <MendingLine mending={i.mending} broken={broken} />}
        {i.waiver && (
          <Text size="sm">
            Waived until <Time at={i.waiver.expires_at} /> by {i.waiver.owner}: {i.waiver.reason}
          </Text>
        )}
      </div>
      {broken && !past && (
        <Group gap="xs" style={{ flexShrink: 0 }}>
          {i.fix && mayMend && (
            <Button
              size="compact-sm"
              loading={mend.isPending}
              disabled={i.mending?.state === "pending"}
              onClick={() =>
                mend.mutate(
                  { rule: i.rule, devices: [device.id] },
                  {
                    onSuccess: (r) =>
                      notifyDone(
                        r.policy_id
                          ? "The setting is on its way to the device."
                          : "The script is on its way to the device.",
                      ),
                    onError: (e) => notifyFailed("It could not be mended", e),
                  },
                )
              }
            >
              {i.mending?.state === "failed" ? "Mend it again" : "Mend it"}
            </Button>
          )}
          {device.may.includes("compliance.manage") && (
            <Button size="compact-sm" variant="default" onClick={() => onWaive(i)}>
              Waive…
            </Button>
          )}
        </Group>
      )}
    </li>
  );
}
