import { Badge, Button, Group, Modal, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { groupsQuery } from "../../api/groups.ts";
import { useMe } from "../../api/me.ts";
import { policiesQuery, useCreatePolicy } from "../../api/policies.ts";
import type { Policy } from "../../api/types.ts";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { PolicyIcon } from "../../ui/icons.tsx";
import { ListPage } from "../../ui/ListPage.tsx";
import { PageLink, RowLink } from "../../ui/links.tsx";
import { NameForm } from "../../ui/NameForm.tsx";
import { may } from "../../ui/permissions.ts";
import type { Column } from "../../ui/RowTable.tsx";
import { Search } from "../../ui/Search.tsx";
import { StateTally } from "../../ui/settingWords.tsx";
import { Empty, NoMatch } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";
import { versionWords } from "./versionWords.ts";

interface PoliciesPageProps {
  /** Id of a group: only the policies that are assigned to it itself. */
  group: string | undefined;
  onGroup: (group: string | undefined) => void;
}

/** Every policy: what devices must be, for how many it counts, and how it stands there. */
export function PoliciesPage({ group, onGroup }: PoliciesPageProps) {
  const me = useMe();
  const navigate = useNavigate();
  const [q, setQ] = useState<string>();
  const query = useInfiniteQuery(policiesQuery(q, group));
  const [making, setMaking] = useState(false);
  const make = useCreatePolicy();
  const groups = useQuery(groupsQuery);
  const rows = query.data?.pages.flatMap((p) => p.items) ?? [];
  const create = may(me, "policy.manage") && <Button onClick={() => setMaking(true)}>New policy</Button>;
  return (
    <ListPage
      title="Policies"
      lead="What devices must be. A policy does nothing until it is published and assigned."
      actions={create}
      filters={
        <Group mb="sm" component="search">
          <Search
            label="Search policies"
            placeholder="Search by name"
            value={q}
            onChange={setQ}
            maxLength={80}
          />
          <GroupSelect
            aria-label="Assigned to"
            placeholder="Assigned to any group"
            style={{ flex: "1 1 10rem", maxWidth: "18rem" }}
            clearable
            groups={groups.data ?? []}
            value={group ?? null}
            onChange={(v) => onGroup(v ?? undefined)}
          />
        </Group>
      }
      label="Policies"
      query={query}
      rows={rows}
      columns={columns}
      rowKey={(p) => p.id}
      empty={
        q || group ? (
          <NoMatch
            title={q ? "No policy has such a name" : "No policy is assigned to this group itself"}
            verb="Show all policies"
            onAll={() => {
              setQ(undefined);
              onGroup(undefined);
            }}
          />
        ) : (
          <Empty icon={<PolicyIcon size={36} />} title="No policies yet" action={create}>
            A policy holds settings such as Wi-Fi networks, a screen lock or firewall rules, and is assigned
            to groups and labels.
          </Empty>
        )
      }
    >
      <Modal opened={making} onClose={() => setMaking(false)} title={<Text fw={650}>New policy</Text>}>
        <NameForm
          what="A policy"
          about="For colleagues: what it is for."
          verb="Make policy"
          failed="The policy was not made"
          busy={make.isPending}
          error={make.error}
          onSave={(v, onError) =>
            make.mutate(v, {
              onSuccess: (p) => void navigate({ to: "/policies/$policyId", params: { policyId: p.id } }),
              onError,
            })
          }
          onClose={() => setMaking(false)}
        />
      </Modal>
    </ListPage>
  );
}

const columns: Column<Policy>[] = [
  {
    key: "name",
    header: "Name",
    render: (p) => (
      <>
        <RowLink to="/policies/$policyId" params={{ policyId: p.id }}>
          {p.name}
        </RowLink>
        {p.description && <span className="one-line quiet">{p.description}</span>}
        {p.counts && (
          <PageLink to="/devices" search={{ policy: p.id }} className="above-link narrow-only" size="sm">
            {countWords(p.counts.devices, "device")}
          </PageLink>
        )}
      </>
    ),
  },
  {
    key: "version",
    header: "Version",
    width: "11rem",
    render: (p) => (
      <Group gap={6}>
        <span className={p.live > 0 || p.rollout ? undefined : "quiet"}>{versionWords(p)}</span>
        {p.draft && (
          <Badge size="sm" variant="light">
            Draft
          </Badge>
        )}
      </Group>
    ),
  },
  {
    key: "devices",
    header: "Devices",
    width: "7rem",
    wide: true,
    render: (p) => (
      <PageLink to="/devices" search={{ policy: p.id }} className="above-link">
        {(p.counts?.devices ?? 0).toLocaleString("en")}
      </PageLink>
    ),
  },
  {
    key: "states",
    header: "State",
    width: "26%",
    wide: true,
    render: (p) => p.counts && <StateTally counts={p.counts} policy={p.id} />,
  },
  {
    key: "changed",
    header: "Changed",
    width: "8rem",
    wide: true,
    render: (p) => (
      <span className="above-link">
        <Time at={p.updated_at} />
      </span>
    ),
  },
];
