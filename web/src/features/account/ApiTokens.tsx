import { Alert, Button, Group, Modal, Select, Stack, Text, TextInput, Title } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { apiTokensQuery, useCreateApiToken, useRevokeApiToken } from "../../api/apiTokens.ts";
import { groupsQuery } from "../../api/groups.ts";
import { useMe } from "../../api/me.ts";
import type { ApiToken, DeviceGroup, NewApiToken } from "../../api/types.ts";
import { CopyText } from "../../ui/CopyText.tsx";
import { showFieldProblems } from "../../ui/form.ts";
import { GroupSelect } from "../../ui/GroupSelect.tsx";
import { groupTrees } from "../../ui/groupTree.ts";
import { WarningIcon } from "../../ui/icons.tsx";
import { Mark } from "../../ui/marks.tsx";
import { RevokeToken } from "../../ui/RevokeToken.tsx";
import { ErrorPanel, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";

/** Tokens with which programs act for the operator. */
export function ApiTokens() {
  const tokens = useQuery(apiTokensQuery);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<NewApiToken | null>(null);
  const [revoking, setRevoking] = useState<ApiToken | null>(null);
  const revoke = useRevokeApiToken();
  const close = () => {
    setMaking(false);
    setMade(null);
  };
  return (
    <section className="panel panel-pad" aria-labelledby="api-tokens">
      <Group justify="space-between" mb="xs">
        <Title order={2} id="api-tokens">
          API tokens
        </Title>
        <Button variant="default" size="compact-sm" onClick={() => setMaking(true)}>
          New token
        </Button>
      </Group>
      <Text c="dimmed" mb="sm">
        For programs that act for you: a pipeline that applies policies from git, a script that reads
        inventory. What they do is in the audit log under your name and the token's.
      </Text>
      <Loaded query={tokens}>
        {(list) =>
          list.length === 0 ? (
            <Text c="dimmed">You have none.</Text>
          ) : (
            <TokenList tokens={list} onRevoke={setRevoking} />
          )
        }
      </Loaded>
      <Modal
        opened={making}
        onClose={close}
        size="lg"
        closeOnClickOutside={made === null}
        title={<Text fw={650}>{made ? "Token made" : "New API token"}</Text>}
      >
        {made ? <Shown made={made} onClose={close} /> : <NewForm onMade={setMade} onCancel={close} />}
      </Modal>
      <RevokeToken token={revoking} revoke={revoke} onClose={() => setRevoking(null)}>
        Programs that use {revoking?.name ?? "it"} can do nothing any more, from now on.
      </RevokeToken>
    </section>
  );
}

function TokenList({ tokens, onRevoke }: { tokens: ApiToken[]; onRevoke: (t: ApiToken) => void }) {
  return (
    <Stack component="ul" gap="xs" p={0} m={0} style={{ listStyle: "none" }} aria-labelledby="api-tokens">
      {tokens.map((t) => (
        <Group component="li" key={t.id} justify="space-between" gap="sm" wrap="nowrap">
          <div style={{ minWidth: 0 }}>
            <div className="one-line" style={{ fontWeight: 550 }}>
              {t.name}
            </div>
            <div className="quiet" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
              {t.role_name} on {t.group_name || "a group you do not see"}. Used <Time at={t.used_at} />.{" "}
              {t.expired ? <Mark color="#8a979a">Expired</Mark> : "Expires "}
              {!t.expired && <Time at={t.expires_at} />}
            </div>
          </div>
          <Button
            size="compact-sm"
            variant="subtle"
            color="red"
            onClick={() => onRevoke(t)}
            aria-label={`Revoke the token ${t.name}`}
          >
            Revoke
          </Button>
        </Group>
      ))}
    </Stack>
  );
}

const lifetimes = [
  { value: "86400", label: "1 day" },
  { value: "2592000", label: "30 days" },
  { value: "7776000", label: "90 days" },
  { value: "31536000", label: "1 year" },
];

const roleNames: Record<string, string> = {
  admin: "Administrator",
  technician: "Technician",
  helpdesk: "Help desk",
  auditor: "Auditor",
};

/** Roles that give nothing their holder does not have. The gateway checks it again. */
const within: Record<string, string[]> = {
  admin: ["admin", "technician", "helpdesk", "auditor"],
  technician: ["technician", "helpdesk"],
  helpdesk: ["helpdesk"],
  auditor: ["auditor"],
};

interface NewFormProps {
  onMade: (made: NewApiToken) => void;
  onCancel: () => void;
}

function NewForm(props: NewFormProps) {
  const groups = useQuery(groupsQuery);
  return <Loaded query={groups}>{(list) => <Form groups={list} {...props} />}</Loaded>;
}

function Form({ groups, onMade, onCancel }: NewFormProps & { groups: DeviceGroup[] }) {
  const me = useMe();
  const create = useCreateApiToken();
  const roles = [...new Set(me.grants.flatMap((g) => within[g.role] ?? []))];
  const form = useForm({
    initialValues: {
      name: "",
      role: roles.at(-1) ?? "",
      group_id: me.grants[0]?.group_id ?? groupTrees(groups)[0]?.group.id ?? "",
      ttl: "7776000",
    },
    validate: {
      name: (v) => (v.trim() === "" ? "Say what it is for." : null),
      role: (v) => (v === "" ? "You have no role to give." : null),
    },
  });
  const submit = form.onSubmit((v) =>
    create.mutate(
      { name: v.name.trim(), role: v.role, group_id: v.group_id, ttl_seconds: Number(v.ttl) },
      { onSuccess: onMade, onError: (error) => showFieldProblems(form, error) },
    ),
  );
  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="sm">
        <TextInput
          label="Name"
          description="What it is for"
          placeholder="Policies from git"
          maxLength={100}
          data-autofocus
          {...form.getInputProps("name")}
        />
        <Group grow align="flex-start">
          <Select
            label="Role"
            description="The most it may do"
            allowDeselect={false}
            data={roles.map((r) => ({ value: r, label: roleNames[r] ?? r }))}
            {...form.getInputProps("role")}
          />
          <Select
            label="Good for"
            description="After that it expires"
            allowDeselect={false}
            data={lifetimes}
            {...form.getInputProps("ttl")}
          />
        </Group>
        <GroupSelect
          label="Group"
          description="On devices of this group and those below"
          allowDeselect={false}
          groups={groups}
          {...form.getInputProps("group_id")}
        />
        {create.isError && <ErrorPanel error={create.error} title="No token was made" />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onCancel}>
            Cancel
          </Button>
          <Button type="submit" loading={create.isPending}>
            Make token
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function Shown({ made, onClose }: { made: NewApiToken; onClose: () => void }) {
  return (
    <Stack gap="md">
      <Alert color="yellow" icon={<WarningIcon />} variant="light">
        Copy it now. The token is shown this once; only its hash is kept.
      </Alert>
      <CopyText value={made.token} label="Copy the token" wrap />
      <Text c="dimmed">
        The command line takes it as <code>HANDRAIL_TOKEN</code>; other programs send it as{" "}
        <code>Authorization: Bearer</code>.
      </Text>
      <Group justify="flex-end">
        <Button onClick={onClose}>Done</Button>
      </Group>
    </Stack>
  );
}
