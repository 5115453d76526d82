import { Alert, Button, SimpleGrid, Skeleton, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { isNotFound } from "../../api/client.ts";
import { useMe } from "../../api/me.ts";
import { sessionQuery, useEndSession } from "../../api/sessions.ts";
import type { SupportSessionDetail, TimelineEntry } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { capabilityList } from "../../ui/capabilities.ts";
import { useNow } from "../../ui/clock.ts";
import { InfoIcon, SessionIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { isFinal, SessionMark } from "../../ui/marks.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty, ErrorPanel } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { clockWords, durationWords, exactWords } from "../../ui/words.ts";
import { particulars, timelineWords } from "./timeline.ts";

/** One session: who, what for, what was allowed, and everything that happened. */
export function SessionPage({ id }: { id: string }) {
  const query = useQuery(sessionQuery(id));
  if (query.data) return <SessionContent session={query.data} />;
  if (isNotFound(query.error)) {
    return (
      <Page title="No such session" above={<Back />}>
        <div className="panel">
          <Empty
            icon={<SessionIcon size={36} />}
            title="This session is not here"
            action={<ButtonLink to="/sessions">All sessions</ButtonLink>}
          >
            The address may be mistyped, or its device is in a group that is not yours.
          </Empty>
        </div>
      </Page>
    );
  }
  if (query.isError) {
    return (
      <Page title="Session" above={<Back />}>
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      </Page>
    );
  }
  return (
    <div className="page" role="status" aria-label="Loading">
      <Skeleton height={28} width={260} mb="md" mt="lg" />
      <Skeleton height={220} radius="md" />
    </div>
  );
}

function Back() {
  return (
    <PageLink to="/sessions" size="sm" c="dimmed">
      ← Sessions
    </PageLink>
  );
}

function SessionContent({ session }: { session: SupportSessionDetail }) {
  const me = useMe();
  const [ending, setEnding] = useState(false);
  const end = useEndSession(session.id);
  const open = !isFinal(session.state);
  return (
    <Page
      title={`Session on ${session.device_name}`}
      mark={<SessionMark state={session.state} />}
      above={<Back />}
      lead={
        <>
          {session.operator_name}, <Time at={session.requested_at} />
        </>
      }
      actions={
        open && (
          <>
            {may(me, "session.view") && (
              <ButtonLink to="/sessions/$sessionId/live" params={{ sessionId: session.id }}>
                Open the screen
              </ButtonLink>
            )}
            <Button variant="default" onClick={() => setEnding(true)}>
              End session
            </Button>
          </>
        )
      }
    >
      {session.message && (
        <Alert color={session.state === "ended" ? "gray" : "red"} icon={<InfoIcon />} mb="md">
          {session.message}
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }} style={{ alignItems: "start" }}>
        <Facts session={session} />
        <section className="panel panel-pad" aria-labelledby="timeline">
          <Title order={2} id="timeline" mb="sm">
            Timeline
          </Title>
          <Timeline entries={session.timeline} />
        </section>
      </SimpleGrid>
      <Confirm
        opened={ending}
        title="End this session?"
        verb="End session"
        busy={end.isPending}
        error={end.error}
        onClose={() => setEnding(false)}
        onConfirm={() => end.mutate("", { onSuccess: () => setEnding(false) })}
      >
        Everybody connected to {session.device_name} in this session loses the picture. To look again, connect
        anew.
      </Confirm>
    </Page>
  );
}

function Facts({ session }: { session: SupportSessionDetail }) {
  const now = useNow();
  const started = session.live_at ?? session.consented_at;
  const until = session.ended_at ? new Date(session.ended_at).getTime() : now;
  return (
    <section className="panel panel-pad" aria-labelledby="session-facts">
      <Title order={2} id="session-facts" mb="xs">
        About
      </Title>
      <dl className="facts">
        <dt>Device</dt>
        <dd>
          <PageLink to="/devices/$deviceId" params={{ deviceId: session.device_id }}>
            {session.device_name}
          </PageLink>
        </dd>
        <dt>Operator</dt>
        <dd>{session.operator_name}</dd>
        <dt>Reason</dt>
        <dd>{session.reason || <span className="quiet">none given</span>}</dd>
        <dt>Agreed by</dt>
        <dd>
          {session.consent === "unattended"
            ? "the policy of the device's group"
            : "the person at the device, when asked"}
        </dd>
        <dt>Asked for</dt>
        <dd>{capabilityList(session.asked)}</dd>
        <dt>Granted</dt>
        <dd>{capabilityList(session.granted)}</dd>
        {started && (
          <>
            <dt>Lasted</dt>
            <dd>{durationWords(until - new Date(started).getTime())}</dd>
          </>
        )}
        {session.ended_by && (
          <>
            <dt>Ended by</dt>
            <dd>{session.ended_by}</dd>
          </>
        )}
        <dt>Session id</dt>
        <dd className="mono">{session.id}</dd>
      </dl>
    </section>
  );
}

const tones = {
  plain: "#8a979a",
  good: "var(--handrail-good)",
  warn: "var(--handrail-warn)",
  bad: "var(--handrail-bad)",
} as const;

function Timeline({ entries }: { entries: TimelineEntry[] }) {
  if (entries.length === 0) return <Text c="dimmed">Nothing has happened yet.</Text>;
  return (
    <ol className="timeline">
      {entries.map((e) => {
        const { text, tone } = timelineWords(e);
        const at = new Date(e.at);
        return (
          <li key={e.seq}>
            <time dateTime={e.at} title={exactWords(at)} className="quiet">
              {clockWords(at)}
            </time>
            <span className="dot" style={{ "--handrail-dot": tones[tone] } as React.CSSProperties} />
            <span className="wrap-anywhere">
              {text}
              {(e.actor || e.detail) && (
                <span className="quiet" style={{ display: "block", fontSize: "var(--mantine-font-size-sm)" }}>
                  {particulars(e)}
                </span>
              )}
            </span>
          </li>
        );
      })}
    </ol>
  );
}
