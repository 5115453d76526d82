import {
  Alert,
  Button,
  Group,
  Modal,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  TextInput,
  Title,
} from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { isNotFound, isOutdated } from "../../api/client.ts";
import { groupsQuery } from "../../api/groups.ts";
import { useMe } from "../../api/me.ts";
import {
  operatorQuery,
  rolesQuery,
  useDeleteOperator,
  useResetPassword,
  useUpdateOperator,
} from "../../api/operators.ts";
import type { DeviceGroup, Grant, Operator } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { InfoIcon, PeopleIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { Mark } from "../../ui/marks.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { OvertakenFields, useSeen } from "../../ui/OvertakenFields.tsx";
import { Page } from "../../ui/Page.tsx";
import { randomPassword } from "../../ui/password.ts";
import { Empty, ErrorPanel } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { GrantsField } from "./GrantsField.tsx";
import { grantWords } from "./grantWords.ts";
import { FirstPassword } from "./NewOperatorForm.tsx";

/** One operator: name, roles, password, and whether they may sign in. */
export function OperatorPage({ id }: { id: string }) {
  const query = useQuery(operatorQuery(id));
  if (query.data) return <OperatorContent key={query.data.id} operator={query.data} />;
  if (isNotFound(query.error)) {
    return (
      <Page title="No such operator" above={<Back />}>
        <div className="panel">
          <Empty
            icon={<PeopleIcon size={36} />}
            title="This operator is not here"
            action={<ButtonLink to="/operators">All operators</ButtonLink>}
          />
        </div>
      </Page>
    );
  }
  if (query.isError) {
    return (
      <Page title="Operator" above={<Back />}>
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
    <PageLink to="/operators" size="sm" c="dimmed">
      ← Operators
    </PageLink>
  );
}

function OperatorContent({ operator }: { operator: Operator }) {
  const me = useMe();
  const mayManage = operator.manageable;
  const isSelf = me.id === operator.id;
  return (
    <Page
      title={operator.name}
      above={<Back />}
      mark={
        operator.disabled ? (
          <Mark color="var(--handrail-bad)">Disabled</Mark>
        ) : (
          <Mark color="var(--handrail-good)">Active</Mark>
        )
      }
      lead={
        <>
          {operator.email} ·{" "}
          {operator.signed_in_at ? (
            <>
              signed in <Time at={operator.signed_in_at} />
            </>
          ) : (
            "never signed in"
          )}
        </>
      }
    >
      {isSelf && (
        <Alert color="rail" variant="light" icon={<InfoIcon />} mb="md">
          This is you. Change your password under <PageLink to="/account">Your account</PageLink>.
        </Alert>
      )}
      <SimpleGrid cols={{ base: 1, md: 2 }} style={{ alignItems: "start" }}>
        {mayManage ? <RightsForm operator={operator} /> : <RightsShown operator={operator} />}
        {mayManage && !isSelf && <AccountActions operator={operator} />}
      </SimpleGrid>
    </Page>
  );
}

function RightsShown({ operator }: { operator: Operator }) {
  return (
    <section className="panel panel-pad" aria-labelledby="rights">
      <Title order={2} id="rights" mb="xs">
        Roles
      </Title>
      <Text>{grantWords(operator.grants)}</Text>
    </section>
  );
}

type BareGrant = Pick<Grant, "role" | "group_id">;

/** Grants as they are saved: without the names of their roles and groups. */
function bare(grants: readonly Grant[]): BareGrant[] {
  return grants.map(({ role, group_id }) => ({ role, group_id }));
}

function named(grant: BareGrant, groups: readonly DeviceGroup[]): Grant {
  const group_name = groups.find((g) => g.id === grant.group_id)?.name ?? "";
  return { ...grant, group_name };
}

function RightsForm({ operator }: { operator: Operator }) {
  const roles = useQuery(rolesQuery).data ?? [];
  const groups = useQuery(groupsQuery).data ?? [];
  const [name, setName] = useState(operator.name);
  const [grants, setGrants] = useState<Grant[]>(operator.grants);
  const update = useUpdateOperator(operator.id);
  const theirs = { name: operator.name, grants: bare(operator.grants) };
  const mine = { name: name.trim(), grants: bare(grants) };
  const changed = JSON.stringify(mine) !== JSON.stringify(theirs);
  const seen = useSeen(theirs, operator.revision, mine);
  return (
    <section className="panel panel-pad" aria-labelledby="rights">
      <Title order={2} id="rights" mb="xs">
        Name and roles
      </Title>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          update.mutate(
            { body: mine, revision: seen.revision },
            {
              onSuccess: (saved) => {
                seen.see({
                  fields: { name: saved.name, grants: bare(saved.grants) },
                  revision: saved.revision,
                });
                notifyDone("Saved.");
              },
            },
          );
        }}
      >
        <Stack gap="sm">
          {seen.overtaken && (
            <OvertakenFields
              of="operator"
              from={seen.from}
              theirs={theirs}
              mine={mine}
              words={{ name: "Name", grants: "Roles" }}
              show={{ grants: (list) => grantWords(list.map((g) => named(g, groups))) || "none" }}
              onGoOn={(fields) => {
                setName(fields.name);
                setGrants(fields.grants.map((g) => named(g, groups)));
                seen.see();
                update.reset();
              }}
            />
          )}
          <TextInput
            label="Name"
            required
            maxLength={100}
            value={name}
            onChange={(e) => setName(e.currentTarget.value)}
          />
          <GrantsField roles={roles} groups={groups} value={grants} onChange={setGrants} />
          {update.isError && !(seen.overtaken && isOutdated(update.error)) && (
            <ErrorPanel error={update.error} title="Not saved" />
          )}
          <Group justify="flex-end" gap="xs">
            {changed && (
              <Button
                variant="default"
                onClick={() => {
                  setName(operator.name);
                  setGrants(operator.grants);
                  seen.see();
                  update.reset();
                }}
              >
                Undo
              </Button>
            )}
            <Button type="submit" disabled={!changed} loading={update.isPending}>
              Save
            </Button>
          </Group>
        </Stack>
      </form>
    </section>
  );
}

type Asking = "disable" | "password" | "delete" | null;

function AccountActions({ operator }: { operator: Operator }) {
  const navigate = useNavigate();
  const update = useUpdateOperator(operator.id);
  const reset = useResetPassword(operator.id);
  const remove = useDeleteOperator(operator.id);
  const [asking, setAsking] = useState<Asking>(null);
  const [password, setPassword] = useState<string | null>(null);
  const close = () => setAsking(null);
  const resetPassword = () => {
    const fresh = randomPassword();
    reset.mutate(fresh, {
      onSuccess: () => {
        setPassword(fresh);
        close();
      },
    });
  };
  return (
    <section className="panel panel-pad" aria-labelledby="account-actions">
      <Title order={2} id="account-actions" mb="xs">
        Account
      </Title>
      <Stack gap="sm" align="flex-start">
        <Button variant="default" onClick={() => setAsking("password")}>
          Set a new password…
        </Button>
        {operator.disabled ? (
          <Button
            variant="default"
            loading={update.isPending}
            onClick={() =>
              update.mutate(
                { body: { disabled: false }, revision: operator.revision },
                { onSuccess: () => notifyDone("May sign in again.") },
              )
            }
          >
            Let them sign in again
          </Button>
        ) : (
          <Button variant="default" onClick={() => setAsking("disable")}>
            Disable…
          </Button>
        )}
        <Button variant="default" c="var(--handrail-bad)" onClick={() => setAsking("delete")}>
          Delete…
        </Button>
      </Stack>
      <Confirm
        opened={asking === "disable"}
        title={`Disable ${operator.name}?`}
        verb="Disable"
        busy={update.isPending}
        error={update.error}
        onClose={close}
        onConfirm={() =>
          update.mutate({ body: { disabled: true }, revision: operator.revision }, { onSuccess: close })
        }
      >
        They are signed out everywhere at once and cannot sign in until you allow it again.
      </Confirm>
      <Confirm
        opened={asking === "password"}
        title={`Set a new password for ${operator.name}?`}
        verb="Set new password"
        busy={reset.isPending}
        error={reset.error}
        onClose={close}
        onConfirm={resetPassword}
      >
        Their old password stops working and they are signed out. You get a new one to pass on.
      </Confirm>
      <Confirm
        opened={asking === "delete"}
        title={`Delete ${operator.name}?`}
        verb="Delete"
        busy={remove.isPending}
        error={remove.error}
        onClose={close}
        onConfirm={() => remove.mutate(undefined, { onSuccess: () => void navigate({ to: "/operators" }) })}
      >
        They are signed out at once. What the audit log says about them stays.
      </Confirm>
      <Modal
        opened={password !== null}
        onClose={() => setPassword(null)}
        closeOnClickOutside={false}
        title={<Text fw={650}>New password</Text>}
      >
        {password && (
          <FirstPassword name={operator.name} password={password} onClose={() => setPassword(null)} />
        )}
      </Modal>
    </section>
  );
}
