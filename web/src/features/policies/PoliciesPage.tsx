import { Badge, Button, Group, Modal, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { useMe } from "../../api/me.ts";
import { policiesQuery, useCreatePolicy } from "../../api/policies.ts";
import type { Policy } from "../../api/types.ts";
import { showFieldProblems } from "../../ui/form.ts";
import { PolicyIcon, SearchIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { type Column, RowTable } from "../../ui/RowTable.tsx";
import { StateTally } from "../../ui/settingWords.tsx";
import { Empty, ErrorPanel, SkeletonRows } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";

/** Every policy: what devices must be, for how many it counts, and how it stands there. */
export function PoliciesPage() {
  const me = useMe();
  const [text, setText] = useState("");
  const [q] = useDebouncedValue(text.trim(), 200);
  const query = useInfiniteQuery(policiesQuery(q || undefined));
  const [making, setMaking] = useState(false);
  const rows = query.data?.pages.flatMap((p) => p.items) ?? [];
  const create = may(me, "policy.manage") && <Button onClick={() => setMaking(true)}>New policy</Button>;
  return (
    <Page
      title="Policies"
      lead="What devices must be. A policy does nothing until it is published and assigned."
      actions={create}
    >
      <TextInput
        type="search"
        aria-label="Search policies"
        placeholder="Search by name"
        leftSection={<SearchIcon size={16} />}
        value={text}
        onChange={(e) => setText(e.currentTarget.value)}
        maxLength={80}
        maw={420}
        mb="sm"
      />
      <div className="panel" aria-busy={query.isFetching && !query.isFetchingNextPage}>
        {query.isPending ? (
          <SkeletonRows />
        ) : rows.length > 0 ? (
          <RowTable
            label="Policies"
            columns={columns}
            rows={rows}
            rowKey={(p) => p.id}
            hasMore={query.hasNextPage}
            loadingMore={query.isFetchingNextPage}
            loadMoreError={query.isFetchNextPageError ? query.error : undefined}
            onMore={query.fetchNextPage}
          />
        ) : query.isError ? (
          <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
        ) : q ? (
          <Empty icon={<SearchIcon size={32} />} title="No policy has such a name" />
        ) : (
          <Empty icon={<PolicyIcon size={36} />} title="No policies yet" action={create}>
            A policy holds settings such as Wi-Fi networks, a screen lock or firewall rules, and is assigned
            to groups and labels.
          </Empty>
        )}
      </div>
      <Modal opened={making} onClose={() => setMaking(false)} title={<Text fw={650}>New policy</Text>}>
        <NewPolicyForm onClose={() => setMaking(false)} />
      </Modal>
    </Page>
  );
}

const columns: Column<Policy>[] = [
  {
    key: "name",
    header: "Name",
    render: (p) => (
      <>
        <PageLink
          to="/policies/$policyId"
          params={{ policyId: p.id }}
          className="row-link one-line"
          display="block"
          underline="never"
        >
          {p.name}
        </PageLink>
        {p.description && <span className="one-line quiet">{p.description}</span>}
      </>
    ),
  },
  {
    key: "version",
    header: "Version",
    width: "9rem",
    render: (p) => (
      <Group gap={6} wrap="nowrap">
        {p.live > 0 ? `Version ${p.live}` : <span className="quiet">Not published</span>}
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
    render: (p) => p.counts && <StateTally counts={p.counts} of="device" />,
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

function NewPolicyForm({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate();
  const create = useCreatePolicy();
  const form = useForm({
    mode: "uncontrolled",
    initialValues: { name: "", description: "" },
    validate: { name: (v) => (v.trim() === "" ? "A policy needs a name." : null) },
  });
  const [said, setSaid] = useState(false);
  return (
    <form
      onSubmit={form.onSubmit((v) =>
        create.mutate(v, {
          onSuccess: (p) => {
            onClose();
            void navigate({ to: "/policies/$policyId", params: { policyId: p.id } });
          },
          onError: (e) => setSaid(showFieldProblems(form, e)),
        }),
      )}
    >
      <Stack>
        <TextInput
          label="Name"
          required
          maxLength={80}
          data-autofocus
          key={form.key("name")}
          {...form.getInputProps("name")}
        />
        <Textarea
          label="Description"
          description="For colleagues: what it is for."
          maxLength={2000}
          autosize
          minRows={2}
          key={form.key("description")}
          {...form.getInputProps("description")}
        />
        {create.error && !said ? <ErrorPanel error={create.error} title="The policy was not made" /> : null}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Make policy
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
