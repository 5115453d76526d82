import { Button, Modal, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { groupsQuery } from "../../api/groups.ts";
import { useMe } from "../../api/me.ts";
import { operatorsQuery, rolesQuery } from "../../api/operators.ts";
import type { Operator } from "../../api/types.ts";
import { EnrollIcon } from "../../ui/icons.tsx";
import { ListPage } from "../../ui/ListPage.tsx";
import { RowLink } from "../../ui/links.tsx";
import { Mark } from "../../ui/marks.tsx";
import { may } from "../../ui/permissions.ts";
import type { Column } from "../../ui/RowTable.tsx";
import { Empty } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { grantWords } from "./grantWords.ts";
import { NewOperatorForm } from "./NewOperatorForm.tsx";
import { RolesPanel } from "./RolesPanel.tsx";

/** Who may sign in, and what each may do where. */
export function OperatorsPage() {
  const me = useMe();
  const operators = useQuery(operatorsQuery);
  const roles = useQuery(rolesQuery).data ?? [];
  const groups = useQuery(groupsQuery).data ?? [];
  const [making, setMaking] = useState(false);
  return (
    <ListPage
      title="Operators"
      lead="People who may sign in here, and their roles on groups of devices."
      actions={
        may(me, "operator.manage") && (
          <Button leftSection={<EnrollIcon size={16} />} onClick={() => setMaking(true)}>
            New operator
          </Button>
        )
      }
      label="Operators"
      query={operators}
      rows={operators.data ?? []}
      columns={columns}
      rowKey={(o) => o.id}
      empty={<Empty title="No operators" />}
    >
      <RolesPanel roles={roles} />
      <Modal
        opened={making}
        onClose={() => setMaking(false)}
        size="lg"
        title={<Text fw={650}>New operator</Text>}
      >
        <NewOperatorForm roles={roles} groups={groups} onClose={() => setMaking(false)} />
      </Modal>
    </ListPage>
  );
}

const columns: Column<Operator>[] = [
  {
    key: "name",
    header: "Name",
    render: (o) => (
      <>
        <RowLink to="/operators/$operatorId" params={{ operatorId: o.id }}>
          {o.name}
        </RowLink>
        <div className="one-line quiet" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
          {o.email}
        </div>
      </>
    ),
  },
  {
    key: "grants",
    header: "Roles",
    width: "44%",
    wide: true,
    render: (o) => <div className="one-line">{grantWords(o.grants)}</div>,
  },
  {
    key: "state",
    header: "State",
    width: "7rem",
    render: (o) =>
      o.disabled ? (
        <Mark color="var(--handrail-bad)">Disabled</Mark>
      ) : (
        <Mark color="var(--handrail-good)">Active</Mark>
      ),
  },
  {
    key: "seen",
    header: "Signed in",
    width: "8rem",
    wide: true,
    render: (o) => (
      <span className="above-link">
        <Time at={o.signed_in_at} />
      </span>
    ),
  },
];
