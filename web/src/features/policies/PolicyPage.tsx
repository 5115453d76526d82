import { Group, Menu, Modal, Skeleton, Stack, Tabs, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { isNotFound } from "../../api/client.ts";
import { policyQuery, useDeletePolicy, useUpdatePolicy } from "../../api/policies.ts";
import type { Policy } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { IconButton } from "../../ui/IconButton.tsx";
import { MoreIcon, PolicyIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { NameForm } from "../../ui/NameForm.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { Page } from "../../ui/Page.tsx";
import { StateTally } from "../../ui/settingWords.tsx";
import { Empty, ErrorPanel } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { AssignmentsPart } from "./AssignmentsPart.tsx";
import { DraftPart } from "./DraftPart.tsx";
import { PolicyRollouts } from "./PolicyRollouts.tsx";
import type { PolicyTab } from "./tabs.ts";
import { VersionsPart } from "./VersionsPart.tsx";
import { versionWords } from "./versionWords.ts";

interface PolicyPageProps {
  id: string;
  tab: PolicyTab;
  onTab: (tab: PolicyTab) => void;
}

/** One policy: its settings, whom it is for, its versions, and how it is rolled out. */
export function PolicyPage({ id, tab, onTab }: PolicyPageProps) {
  const query = useQuery(policyQuery(id));
  if (query.data) return <PolicyContent policy={query.data} tab={tab} onTab={onTab} />;
  if (isNotFound(query.error)) {
    return (
      <Page title="No such policy" above={<Back />}>
        <div className="panel">
          <Empty
            icon={<PolicyIcon size={36} />}
            title="This policy is not here"
            action={<ButtonLink to="/policies">All policies</ButtonLink>}
          >
            It may have been deleted.
          </Empty>
        </div>
      </Page>
    );
  }
  if (query.isError) {
    return (
      <Page title="Policy" above={<Back />}>
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      </Page>
    );
  }
  return (
    <div className="page" role="status" aria-label="Loading">
      <Skeleton height={28} width={260} mb="md" mt="lg" />
      <Skeleton height={240} radius="md" />
    </div>
  );
}

function Back() {
  return (
    <PageLink to="/policies" size="sm" c="dimmed">
      ← Policies
    </PageLink>
  );
}

function PolicyContent({ policy, tab, onTab }: { policy: Policy } & Omit<PolicyPageProps, "id">) {
  const mayManage = policy.may_manage;
  const parts: { tab: PolicyTab; label: string }[] = [
    { tab: "settings", label: policy.draft ? "Settings · draft" : "Settings" },
    { tab: "assignments", label: `Assignments · ${policy.assignments.length}` },
    { tab: "rollouts", label: "Roll-outs" },
    { tab: "versions", label: `Versions · ${policy.newest}` },
  ];
  return (
    <Page
      title={policy.name}
      above={<Back />}
      lead={<Lead policy={policy} />}
      actions={mayManage && <PolicyMenu policy={policy} />}
    >
      <Tabs value={tab} onChange={(t) => t && onTab(t as PolicyTab)} keepMounted={false}>
        <Tabs.List mb="md" className="scroll-tabs">
          {parts.map((p) => (
            <Tabs.Tab key={p.tab} value={p.tab}>
              {p.label}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        <Tabs.Panel value="settings">
          <DraftPart policy={policy} mayManage={mayManage} />
        </Tabs.Panel>
        <Tabs.Panel value="assignments">
          <AssignmentsPart policy={policy} mayManage={mayManage} />
        </Tabs.Panel>
        <Tabs.Panel value="rollouts">
          <PolicyRollouts policy={policy} />
        </Tabs.Panel>
        <Tabs.Panel value="versions">
          <VersionsPart policy={policy} mayManage={mayManage} />
        </Tabs.Panel>
      </Tabs>
    </Page>
  );
}

function Lead({ policy }: { policy: Policy }) {
  return (
    <Stack gap={4}>
      {policy.description && <span className="wrap-anywhere">{policy.description}</span>}
      <Group gap="md">
        <span>{versionWords(policy)}</span>
        <PageLink to="/devices" search={{ policy: policy.id }}>
          {countWords(policy.counts?.devices ?? 0, "device")}
        </PageLink>
        {policy.counts && policy.counts.devices > 0 && (
          <StateTally counts={policy.counts} policy={policy.id} />
        )}
      </Group>
    </Stack>
  );
}

function PolicyMenu({ policy }: { policy: Policy }) {
  const navigate = useNavigate();
  const [dialog, setDialog] = useState<"rename" | "delete" | null>(null);
  const remove = useDeletePolicy(policy.id, policy.revision);
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <IconButton label="More about this policy" variant="default" size={36}>
            <MoreIcon />
          </IconButton>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item onClick={() => setDialog("rename")}>Rename or describe…</Menu.Item>
          <Menu.Divider />
          <Menu.Item c="var(--handrail-bad)" onClick={() => setDialog("delete")}>
            Delete…
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={dialog === "rename"}
        onClose={() => setDialog(null)}
        title={<Text fw={650}>Rename or describe</Text>}
      >
        <RenameForm policy={policy} onClose={() => setDialog(null)} />
      </Modal>
      <Confirm
        opened={dialog === "delete"}
        title={`Delete ${policy.name}?`}
        verb="Delete"
        busy={remove.isPending}
        error={remove.error}
        onClose={() => setDialog(null)}
        onConfirm={() =>
          remove.mutate(undefined, {
            onSuccess: () => {
              notifyDone(`${policy.name} is deleted.`);
              void navigate({ to: "/policies" });
            },
          })
        }
      >
        Its settings are taken off {countWords(policy.counts?.devices ?? 0, "device")}, and what was there
        before is put back. The audit log keeps who did it.
      </Confirm>
    </>
  );
}

function RenameForm({ policy, onClose }: { policy: Policy; onClose: () => void }) {
  const update = useUpdatePolicy(policy.id, policy.revision);
  return (
    <NameForm
      initial={policy}
      what="A policy"
      verb="Save"
      failed="That did not work"
      busy={update.isPending}
      error={update.error}
      onSave={(v, onError) => update.mutate(v, { onSuccess: onClose, onError })}
      onClose={onClose}
    />
  );
}
