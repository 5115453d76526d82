import { Anchor, type AnchorProps, Group, SimpleGrid, Skeleton, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { createLink } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, Ref } from "react";
import { sentence } from "../../api/client.ts";
import { complianceQuery } from "../../api/compliance.ts";
import { useMe } from "../../api/me.ts";
import { overviewQuery } from "../../api/overview.ts";
import { sessionsQuery } from "../../api/sessions.ts";
import type { Attention, Overview } from "../../api/types.ts";
import { ComplianceLag } from "../../ui/ComplianceLag.tsx";
import { complianceStates, complianceWords } from "../../ui/complianceWords.tsx";
import { CheckIcon, ChevronIcon, WarningIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { SessionList } from "../../ui/SessionList.tsx";
import { ErrorPanel, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";
import { FirstSteps } from "./FirstSteps.tsx";
import { ManagedRow } from "./ManagedRow.tsx";
import { useManaged } from "./managed.ts";

/** What needs somebody first, then how much there is. Each number leads to what is behind it. */
export function OverviewPage() {
  const me = useMe();
  const query = useQuery(overviewQuery);
  return (
    <Page title="Overview" lead={me.organisation}>
      <Loaded query={query} loading={<OverviewSkeleton />}>
        {(data) => (data.devices.total === 0 ? <FirstSteps /> : <OverviewContent data={data} />)}
      </Loaded>
    </Page>
  );
}

function OverviewSkeleton() {
  return (
    <div role="status" aria-label="Loading">
      <Skeleton height={120} mb="md" radius="md" />
      <SimpleGrid cols={{ base: 2, md: 4 }}>
        {["a", "b", "c", "d"].map((k) => (
          <Skeleton key={k} height={84} radius="md" />
        ))}
      </SimpleGrid>
    </div>
  );
}

function OverviewContent({ data }: { data: Overview }) {
  const me = useMe();
  const { items: managed, pending, error, retry } = useManaged();
  const offline = data.devices.total - data.devices.online;
  return (
    <>
      <section aria-labelledby="attention">
        <Title order={2} id="attention" mb="xs">
          Needs attention
        </Title>
        <div className="panel">
          {error ? (
            <ErrorPanel error={error} title="What management asks for could not be loaded" onRetry={retry} />
          ) : null}
          {data.attention.length + managed.length === 0 ? (
            pending ? (
              <div className="attention-row" role="status">
                <Text c="dimmed">Looking at policies, rules and commands…</Text>
              </div>
            ) : error ? null : (
              <div className="attention-row">
                <span style={{ color: "var(--handrail-good)", display: "flex" }}>
                  <CheckIcon />
                </span>
                <Text>Nothing. All is well as far as Handrail can see.</Text>
              </div>
            )
          ) : (
            <ul className="attention">
              {data.attention.map((a) => (
                <li key={`${a.kind} ${a.device_id ?? ""} ${a.session_id ?? ""} ${a.at}`}>
                  <AttentionRow item={a} />
                </li>
              ))}
              {managed.map((m) => (
                <li key={m.key}>
                  <ManagedRow item={m} />
                </li>
              ))}
            </ul>
          )}
        </div>
      </section>
      <section aria-labelledby="numbers" style={{ marginTop: "1.5rem" }}>
        <Title order={2} id="numbers" mb="xs">
          Now
        </Title>
        <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
          <Figure
            n={data.devices.online}
            label="online"
            of={`of ${countWords(data.devices.total, "device")}`}
            to="/devices"
            search={{ state: "online" }}
          />
          <Figure
            n={offline}
            label="offline"
            of={`of ${countWords(data.devices.total, "device")}`}
            to="/devices"
            search={{ state: "offline" }}
          />
          <Figure
            n={data.sessions.live}
            label={data.sessions.live === 1 ? "live session" : "live sessions"}
            of=""
            to="/sessions"
            search={{ state: "live" }}
          />
          <Figure
            n={data.sessions.waiting}
            label="waiting"
            of="for an answer"
            to="/sessions"
            search={{ state: "requested" }}
          />
        </SimpleGrid>
      </section>
      {may(me, "compliance.view") && <ComplianceFigures />}
      {may(me, "session.list") && <Latest />}
    </>
  );
}

/** How the devices stand under the rules. */
function ComplianceFigures() {
  const c = useQuery(complianceQuery()).data;
  if (!c || c.devices === 0) return null;
  return (
    <section aria-labelledby="compliance-figures" style={{ marginTop: "1.5rem" }}>
      <Group justify="space-between" mb="xs">
        <Title order={2} id="compliance-figures">
          Compliance
        </Title>
        <PageLink to="/compliance" size="sm">
          {c.score.toLocaleString("en")} % of all checks are met
        </PageLink>
      </Group>
      <SimpleGrid cols={{ base: 2, md: 4 }} spacing="sm">
        {complianceStates
          .filter((s) => c.overall[s] > 0 || s === "non_compliant")
          .map((s) => (
            <Figure
              key={s}
              n={c.overall[s]}
              label={complianceWords(s).toLowerCase()}
              of=""
              to="/devices"
              search={{ compliance: s }}
            />
          ))}
      </SimpleGrid>
      <ComplianceLag of={c} />
    </section>
  );
}

function Latest() {
  const query = useInfiniteQuery(sessionsQuery({}, 8));
  const rows = query.data?.pages[0]?.items ?? [];
  if (rows.length === 0) return null;
  return (
    <section aria-labelledby="latest" style={{ marginTop: "1.5rem" }}>
      <Group justify="space-between" mb="xs">
        <Title order={2} id="latest">
          Latest sessions
        </Title>
        <PageLink to="/sessions" size="sm">
          All sessions
        </PageLink>
      </Group>
      <div className="panel" style={{ padding: "0.35rem 1.1rem" }}>
        <SessionList sessions={rows} by="device" />
      </div>
    </section>
  );
}

interface FigureProps extends AnchorProps, Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof AnchorProps> {
  n: number;
  label: string;
  of: string;
  ref?: Ref<HTMLAnchorElement>;
}

/** A number with its word, leading to what it counts. */
const Figure = createLink(({ n, label, of, ...rest }: FigureProps) => (
  <Anchor className="panel figure" underline="never" c="inherit" {...rest}>
    <span className="figure-number">{n.toLocaleString("en")}</span>
    <span className="figure-label">
      {label} {of && <span className="quiet">· {of}</span>}
    </span>
  </Anchor>
));

function AttentionRow({ item }: { item: Attention }) {
  const content = (
    <>
      <span
        style={{
          color: item.kind === "identity_copied" ? "var(--handrail-bad)" : "var(--handrail-warn)",
          display: "flex",
        }}
      >
        <WarningIcon />
      </span>
      <span style={{ flex: 1, minWidth: 0 }}>
        <Text component="span" fw={550} display="block">
          {item.device_name}
        </Text>
        {item.message && (
          <Text component="span" c="dimmed" size="sm" display="block">
            {sentence(item.message)}
          </Text>
        )}
      </span>
      {item.at && (
        <Text component="span" c="dimmed" size="sm">
          <Time at={item.at} />
        </Text>
      )}
    </>
  );
  if (item.session_id) {
    return (
      <PageLink
        to="/sessions/$sessionId"
        params={{ sessionId: item.session_id }}
        className="attention-row"
        underline="never"
        c="inherit"
      >
        {content}
        <ChevronIcon size={16} />
      </PageLink>
    );
  }
  if (item.device_id) {
    return (
      <PageLink
        to="/devices/$deviceId"
        params={{ deviceId: item.device_id }}
        className="attention-row"
        underline="never"
        c="inherit"
      >
        {content}
        <ChevronIcon size={16} />
      </PageLink>
    );
  }
  return <div className="attention-row">{content}</div>;
}
