import { saveFile } from "@handrail/viewer/browser/save";
import { Button, Group, Loader, Menu, SimpleGrid, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { complianceExportPath, complianceQuery, useComplianceReport } from "../../api/compliance.ts";
import { useMe } from "../../api/me.ts";
import type { Compliance, Severity } from "../../api/types.ts";
import { ComplianceLag } from "../../ui/ComplianceLag.tsx";
import {
  ComplianceMark,
  complianceStates,
  RuleTally,
  SeverityMark,
  severityWords,
} from "../../ui/complianceWords.tsx";
import { ComplianceIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { notifyFailed } from "../../ui/notify.ts";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty, Loaded } from "../../ui/states.tsx";
import { countWords, dayOf } from "../../ui/words.ts";
import { Trend } from "./Trend.tsx";

interface CompliancePageProps {
  /** A day in the past ("2026-11-23"); undefined is now. */
  day: string | undefined;
  onDay: (day: string | undefined) => void;
}

/** The end of a day by the operator's clock, as the API takes it; a day that is not over ends now. */
export function endOf(day: string | undefined): string | undefined {
  if (!day) return undefined;
  const end = new Date(`${day}T23:59:59`);
  return Number.isNaN(end.getTime()) || end.getTime() >= Date.now() ? undefined : end.toISOString();
}

/** How the devices stand as a whole: what needs attention first, and the numbers behind it. */
export function CompliancePage({ day, onDay }: CompliancePageProps) {
  const asOf = endOf(day);
  const me = useMe();
  const query = useQuery(complianceQuery(asOf));
  const report = useComplianceReport();
  return (
    <Page
      title="Compliance"
      lead={day ? `As it stood at the end of ${day}.` : "Whether devices are as the rules want them."}
      actions={
        <>
          <Group gap={6} wrap="nowrap">
            <Text size="sm" c="dimmed" aria-hidden="true">
              As of
            </Text>
            <TextInput
              type="date"
              aria-label="As of a day in the past"
              value={day ?? ""}
              max={dayOf(Date.now())}
              onChange={(e) => onDay(e.currentTarget.value || undefined)}
            />
          </Group>
          <Menu position="bottom-end">
            <Menu.Target>
              <Button variant="default" disabled={report.isPending}>
                Export
              </Button>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item
                onClick={() =>
                  report.mutate(asOf, {
                    onSuccess: (made) => saveFile(made, `compliance-${day ?? dayOf(Date.now())}.pdf`),
                    onError: (e) => notifyFailed("The report could not be made", e),
                  })
                }
              >
                Report (PDF)
              </Menu.Item>
              <Menu.Item component="a" href={complianceExportPath(asOf)} download>
                Every device and rule (CSV)
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
          <ButtonLink to="/compliance/rules" variant="default">
            Rules
          </ButtonLink>
        </>
      }
    >
      {report.isPending && (
        <Text role="status" mb="sm">
          <Loader size="xs" mr="xs" aria-hidden="true" />
          The report is being made. With many devices this takes some seconds, for a day in the past up to a
          minute; stay on this page.
        </Text>
      )}
      <Loaded query={query}>
        {(c) =>
          c.devices === 0 ? (
            <div className="panel">
              <Empty
                icon={<ComplianceIcon size={36} />}
                title="Nothing checked yet"
                action={
                  <Group gap="xs" justify="center">
                    {may(me, "device.enroll") && <ButtonLink to="/enrollment">Enroll devices</ButtonLink>}
                    <ButtonLink to="/compliance/rules" variant="default">
                      See the rules
                    </ButtonLink>
                  </Group>
                }
              >
                {day
                  ? "No device had been checked by then."
                  : "Handrail brings rules for Debian and Ubuntu workstations. Every device is checked against them as soon as it has reported its inventory, and again whenever that changes."}
              </Empty>
            </div>
          ) : (
            <Content c={c} past={day !== undefined} />
          )
        }
      </Loaded>
    </Page>
  );
}

/** A number of the table, and the rules it comes from. */
function RulesNumber({
  n,
  severity,
  state,
  past,
}: {
  n: number;
  severity: Severity;
  state: "broken" | "non_compliant" | "in_grace" | "waived";
  past: boolean;
}) {
  const text = n.toLocaleString("en");
  if (past || n === 0) return text;
  return (
    <PageLink to="/compliance/rules" search={{ severity, state }} c="inherit">
      {text}
    </PageLink>
  );
}

function Content({ c, past }: { c: Compliance; past: boolean }) {
  return (
    <Stack>
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <section className="panel panel-pad" aria-labelledby="compliance-now">
          <Title order={2} id="compliance-now" mb="xs">
            Devices
          </Title>
          <Text fz={34} fw={650} lh={1.1}>
            {c.score.toLocaleString("en")} %
          </Text>
          <Text c="dimmed" mb="sm">
            of all checks are met, on {countWords(c.devices, "device")}.
          </Text>
          <ul className="bare-list">
            {complianceStates
              .filter((s) => c.overall[s] > 0)
              .map((s) => (
                <li key={s}>
                  {past ? (
                    <>
                      {c.overall[s].toLocaleString("en")} <ComplianceMark state={s} />
                    </>
                  ) : (
                    <PageLink to="/devices" search={{ compliance: s }} c="inherit">
                      {c.overall[s].toLocaleString("en")} <ComplianceMark state={s} />
                    </PageLink>
                  )}
                </li>
              ))}
          </ul>
          <ComplianceLag of={c} />
          {c.checking > 0 && (
            <Text size="sm" c="dimmed" mt="xs" role="status">
              {countWords(c.checking, "device")} are being checked anew.
            </Text>
          )}
        </section>
        <section className="panel panel-pad" aria-labelledby="compliance-severity">
          <Title order={2} id="compliance-severity" mb="xs">
            By severity
          </Title>
          <table className="numbers">
            <thead>
              <tr>
                <th scope="col" data-text>
                  Severity
                </th>
                <th scope="col">Rules broken</th>
                <th scope="col">Findings</th>
                <th scope="col">In grace</th>
                <th scope="col">Waived</th>
              </tr>
            </thead>
            <tbody>
              {c.severities.map((s) => (
                <tr key={s.severity}>
                  <th scope="row" data-text>
                    {severityWords(s.severity)}
                  </th>
                  <td>
                    <RulesNumber n={s.rules} severity={s.severity} state="broken" past={past} />
                  </td>
                  <td>
                    <RulesNumber
                      n={s.non_compliant}
                      severity={s.severity}
                      state="non_compliant"
                      past={past}
                    />
                  </td>
                  <td>
                    <RulesNumber n={s.in_grace} severity={s.severity} state="in_grace" past={past} />
                  </td>
                  <td>
                    <RulesNumber n={s.waived} severity={s.severity} state="waived" past={past} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      </SimpleGrid>
      <section className="panel panel-pad" aria-labelledby="compliance-first">
        <Title order={2} id="compliance-first" mb="xs">
          What to mend first
        </Title>
        {c.top_rules.length === 0 ? (
          <Text c="dimmed">Nothing is broken.</Text>
        ) : (
          <ul className="bare-list">
            {c.top_rules.map((r) => (
              <li key={r.slug} className="tree-row">
                <div style={{ flex: 1, minWidth: 0 }}>
                  <Group gap="sm">
                    <PageLink to="/compliance/rules/$slug" params={{ slug: r.slug }} fw={550}>
                      {r.title}
                    </PageLink>
                    <SeverityMark severity={r.severity} />
                    {r.has_fix && <span className="quiet">one click mends it</span>}
                  </Group>
                  <RuleTally counts={r.counts} rule={r.slug} />
                </div>
              </li>
            ))}
          </ul>
        )}
      </section>
      {c.trend.length > 1 && (
        <section className="panel panel-pad" aria-labelledby="compliance-trend">
          <Title order={2} id="compliance-trend" mb="xs">
            The last {c.trend.length} days
          </Title>
          <Trend days={c.trend} />
        </section>
      )}
    </Stack>
  );
}
