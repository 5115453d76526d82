import { Alert, Badge, Button, Group, Modal, Select, Stack, Switch, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { isNotFound } from "../../api/client.ts";
import {
  complianceExportPath,
  complianceRuleQuery,
  ruleDevicesQuery,
  useChangeRule,
  useDeleteRule,
  useRemediate,
  useRevokeWaiver,
  waiversQuery,
} from "../../api/compliance.ts";
import { useMe } from "../../api/me.ts";
import type { ComplianceRule } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import {
  ComplianceMark,
  complianceStates,
  complianceWords,
  evidenceWords,
  RuleTally,
  SeverityMark,
} from "../../ui/complianceWords.tsx";
import { ComplianceIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { More } from "../../ui/More.tsx";
import { notifyDone, notifyFailed } from "../../ui/notify.ts";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty, ErrorPanel, Loaded, SkeletonRows } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { WaiverForm } from "../../ui/WaiverForm.tsx";
import { countWords } from "../../ui/words.ts";
import { RuleForm, ruleChange } from "./RuleForm.tsx";

/** Days where it is whole days, hours else. */
function graceWords(hours: number): string {
  return hours % 24 === 0 ? countWords(hours / 24, "day") : countWords(hours, "hour");
}

function Back() {
  return (
    <PageLink to="/compliance/rules" size="sm" c="dimmed">
      ← Rules
    </PageLink>
  );
}

/** One rule: what it wants and why, who breaks it, and what mends it. */
export function RulePage({ slug }: { slug: string }) {
  const query = useQuery(complianceRuleQuery(slug));
  if (query.data) return <RuleContent rule={query.data} />;
  return (
    <Page title="Rule" above={<Back />}>
      {isNotFound(query.error) ? (
        <div className="panel">
          <Empty
            icon={<ComplianceIcon size={36} />}
            title="This rule is not here"
            action={<ButtonLink to="/compliance/rules">All rules</ButtonLink>}
          />
        </div>
      ) : query.isError ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : (
        <SkeletonRows />
      )}
    </Page>
  );
}

function RuleContent({ rule }: { rule: ComplianceRule }) {
  const me = useMe();
  const navigate = useNavigate();
  const mayManage = may(me, "compliance.manage");
  const [dialog, setDialog] = useState<"waive" | "edit" | "delete" | null>(null);
  const change = useChangeRule(rule.slug);
  const remove = useDeleteRule(rule.slug, rule.revision);
  const close = () => setDialog(null);
  return (
    <Page
      title={rule.title}
      above={<Back />}
      mark={<SeverityMark severity={rule.severity} />}
      lead={<RuleTally counts={rule.counts} rule={rule.slug} />}
      actions={
        <>
          <Button component="a" variant="default" href={complianceExportPath(undefined, rule.slug)} download>
            Export
          </Button>
          {mayManage && (
            <>
              <Button variant="default" onClick={() => setDialog("waive")}>
                Waive everywhere…
              </Button>
              <Button variant="default" onClick={() => setDialog("edit")}>
                Edit…
              </Button>
              {!rule.shipped && (
                <Button variant="default" color="red" onClick={() => setDialog("delete")}>
                  Delete…
                </Button>
              )}
            </>
          )}
        </>
      }
    >
      <Stack>
        <section className="panel panel-pad">
          <Text>{rule.description}</Text>
          {rule.remediation && (
            <>
              <Title order={2} mt="md" mb={4}>
                To mend it
              </Title>
              <Text style={{ whiteSpace: "pre-wrap" }}>{rule.remediation}</Text>
            </>
          )}
          {rule.fix && (
            <Text mt="xs" c="dimmed">
              {rule.fix.setting
                ? `One click applies the setting ${rule.fix.setting}.`
                : "One click runs a script."}
              {rule.fix.note && ` ${rule.fix.note}`}
            </Text>
          )}
          <Group gap="xs" mt="md">
            {rule.frameworks.map((f) => (
              <Badge key={`${f.framework} ${f.id}`} variant="default" tt="none">
                {f.framework} {f.id}
              </Badge>
            ))}
          </Group>
          <details style={{ marginTop: "0.75rem" }}>
            <summary>The expression</summary>
            <pre className="output">
              {rule.applies ? `# applies where\n${rule.applies}\n\n# is met when\n` : ""}
              {rule.expression}
            </pre>
          </details>
          <Group mt="md">
            <Switch
              label={rule.enabled ? "Counts" : "Switched off"}
              checked={rule.enabled}
              disabled={!mayManage || change.isPending}
              onChange={(e) =>
                change.mutate(
                  {
                    body: { ...ruleChange(rule), enabled: e.currentTarget.checked },
                    revision: rule.revision,
                  },
                  { onError: (error) => notifyFailed("The rule was not changed", error) },
                )
              }
            />
            <Text c="dimmed" size="sm">
              {rule.grace_hours > 0
                ? `A device may break it for ${graceWords(rule.grace_hours)} before it counts.`
                : "It counts at once."}
            </Text>
          </Group>
        </section>
        {rule.enabled && <RuleDevices rule={rule} />}
        <Waivers rule={rule} mayManage={mayManage} />
      </Stack>
      <Modal opened={dialog === "waive"} onClose={close} title={<Text fw={650}>Waive for all devices</Text>}>
        <WaiverForm rule={rule.slug} group="grp_root" onClose={close} />
      </Modal>
      <Modal opened={dialog === "edit"} onClose={close} size="lg" title={<Text fw={650}>Edit the rule</Text>}>
        <RuleForm
          rule={rule}
          busy={change.isPending}
          error={change.error}
          onClose={close}
          onSubmit={(body, revision) => change.mutate({ body, revision }, { onSuccess: close })}
        />
      </Modal>
      <Confirm
        opened={dialog === "delete"}
        title={`Delete ${rule.title}?`}
        verb="Delete"
        busy={remove.isPending}
        error={remove.error}
        onClose={close}
        onConfirm={() =>
          remove.mutate(undefined, { onSuccess: () => void navigate({ to: "/compliance/rules" }) })
        }
      >
        What was recorded of it stays for auditors.
      </Confirm>
    </Page>
  );
}

function RuleDevices({ rule }: { rule: ComplianceRule }) {
  const me = useMe();
  const first = complianceStates.find((s) => rule.counts[s] > 0) ?? "non_compliant";
  const [state, setState] = useState<string>(first);
  const query = useInfiniteQuery(ruleDevicesQuery(rule.slug, state));
  const mend = useRemediate();
  const rows = query.data?.pages.flatMap((p) => p.items) ?? [];
  const broken = state === "non_compliant" || state === "in_grace";
  return (
    <section className="panel panel-pad" aria-labelledby="rule-devices">
      <Group justify="space-between" mb="xs">
        <Title order={2} id="rule-devices">
          Devices
        </Title>
        <Group gap="xs">
          {rule.fix && broken && rows.length > 0 && may(me, "command.run") && (
            <Button
              size="compact-md"
              loading={mend.isPending}
              onClick={() =>
                mend.mutate(
                  { rule: rule.slug, devices: rows.slice(0, 500).map((d) => d.device_id) },
                  {
                    onSuccess: (r) => notifyDone(`On its way to ${countWords(r.devices, "device")}.`),
                    onError: (e) => notifyFailed("It could not be mended", e),
                  },
                )
              }
            >
              Mend {countWords(Math.min(500, rows.length), "device")}
            </Button>
          )}
          <Select
            aria-label="State"
            size="xs"
            allowDeselect={false}
            data={complianceStates.map((s) => ({
              value: s,
              label: `${complianceWords(s)} (${rule.counts[s].toLocaleString("en")})`,
            }))}
            value={state}
            onChange={(v) => v && setState(v)}
          />
        </Group>
      </Group>
      {query.isPending ? (
        <SkeletonRows rows={3} />
      ) : rows.length === 0 ? (
        <Text c="dimmed">No device is in this state.</Text>
      ) : (
        <ul className="bare-list">
          {rows.map((d) => (
            <li key={d.device_id} className="tree-row">
              <div style={{ flex: 1, minWidth: 0 }}>
                <PageLink
                  to="/devices/$deviceId"
                  params={{ deviceId: d.device_id }}
                  search={{ tab: "compliance" }}
                >
                  {d.name}
                </PageLink>{" "}
                <span className="quiet">
                  <ComplianceMark state={d.state} />
                  {d.since && (
                    <>
                      {" "}
                      since <Time at={d.since} />
                    </>
                  )}
                  {d.grace_until && (
                    <>
                      , counts from <Time at={d.grace_until} /> on
                    </>
                  )}
                </span>
                {evidenceWords(d.evidence) && (
                  <Text size="sm" className="wrap-anywhere">
                    {evidenceWords(d.evidence)}
                  </Text>
                )}
                {d.message && <Text size="sm">{d.message}</Text>}
              </div>
            </li>
          ))}
        </ul>
      )}
      <More query={query} />
    </section>
  );
}

function Waivers({ rule, mayManage }: { rule: ComplianceRule; mayManage: boolean }) {
  const query = useQuery(waiversQuery(rule.slug));
  const revoke = useRevokeWaiver();
  return (
    <section className="panel panel-pad" aria-labelledby="rule-waivers">
      <Title order={2} id="rule-waivers" mb="xs">
        Waivers
      </Title>
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Text c="dimmed">Nobody is excused from this rule.</Text>
          ) : (
            <ul className="bare-list">
              {items.map((w) => (
                <li key={w.id} className="tree-row">
                  <div style={{ flex: 1, minWidth: 0 }}>
                    <Text>
                      {w.device_name || (w.group_path ?? []).join(" › ") || "All devices"}, until{" "}
                      <Time at={w.expires_at} />
                    </Text>
                    <Text size="sm" c="dimmed" className="wrap-anywhere">
                      {w.owner}: {w.reason}
                    </Text>
                  </div>
                  {mayManage && w.holds && (
                    <Button
                      size="compact-sm"
                      variant="default"
                      loading={revoke.isPending}
                      onClick={() =>
                        revoke.mutate(w.id, { onSuccess: () => notifyDone("The rule counts again.") })
                      }
                    >
                      Revoke
                    </Button>
                  )}
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {revoke.error && <Alert color="red">{revoke.error.message}</Alert>}
    </section>
  );
}
