import { Button, Modal, Text } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { tokensQuery, useRevokeToken } from "../../api/enrollment.ts";
import { groupsQuery } from "../../api/groups.ts";
import { useMe } from "../../api/me.ts";
import type { EnrollmentToken, NewToken } from "../../api/types.ts";
import { groupPath } from "../../ui/groupTree.ts";
import { EnrollIcon, TokenIcon } from "../../ui/icons.tsx";
import { ListPage } from "../../ui/ListPage.tsx";
import { Mark } from "../../ui/marks.tsx";
import { may } from "../../ui/permissions.ts";
import { RevokeToken } from "../../ui/RevokeToken.tsx";
import type { Column } from "../../ui/RowTable.tsx";
import { Empty } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { NewTokenForm } from "./NewTokenForm.tsx";
import { TokenShown } from "./TokenShown.tsx";

/** Tokens by which machines become devices. */
export function EnrollmentPage() {
  const me = useMe();
  const query = useInfiniteQuery(tokensQuery);
  const rows = useMemo(() => query.data?.pages.flatMap((p) => p.items) ?? [], [query.data]);
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<NewToken | null>(null);
  const [revoking, setRevoking] = useState<EnrollmentToken | null>(null);
  const mayEnroll = may(me, "device.enroll");
  const columns = useColumns(mayEnroll ? setRevoking : null);
  const revoke = useRevokeToken();
  const close = () => {
    setMaking(false);
    setMade(null);
  };
  return (
    <ListPage
      title="Enrollment"
      lead="A token lets machines join a group, as often and as long as you say."
      actions={
        mayEnroll && (
          <Button leftSection={<EnrollIcon size={16} />} onClick={() => setMaking(true)}>
            New token
          </Button>
        )
      }
      label="Enrollment tokens"
      query={query}
      rows={rows}
      columns={columns}
      rowKey={(t) => t.id}
      empty={
        <Empty
          icon={<TokenIcon size={36} />}
          title="No tokens yet"
          action={mayEnroll && <Button onClick={() => setMaking(true)}>Make a token</Button>}
        >
          You get one command to run on the machine. It makes its own key, joins, and appears under Devices.
        </Empty>
      }
    >
      <Modal
        opened={making}
        onClose={close}
        size="lg"
        closeOnClickOutside={made === null}
        title={<Text fw={650}>{made ? "Token made" : "New enrollment token"}</Text>}
      >
        {made ? (
          <TokenShown made={made} onClose={close} />
        ) : (
          <NewTokenForm onMade={setMade} onCancel={close} />
        )}
      </Modal>
      <RevokeToken token={revoking} revoke={revoke} onClose={() => setRevoking(null)}>
        No machine can join with it any more. Devices that have joined stay.
      </RevokeToken>
    </ListPage>
  );
}

function useColumns(onRevoke: ((t: EnrollmentToken) => void) | null): Column<EnrollmentToken>[] {
  const groups = useQuery(groupsQuery).data;
  return useMemo(
    () => [
      {
        key: "note",
        header: "For",
        render: (t) => (
          <>
            <div className="one-line" style={{ fontWeight: 550 }}>
              {t.note || "No note"}
            </div>
            <div className="one-line quiet" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
              {groups ? groupPath(groups, t.group_id) : ""}
            </div>
          </>
        ),
      },
      { key: "state", header: "State", width: "8rem", render: (t) => <TokenMark state={t.state} /> },
      {
        key: "uses",
        header: "Used",
        width: "8rem",
        wide: true,
        render: (t) => `${t.uses_spent} of ${t.uses_allowed}`,
      },
      {
        key: "expires",
        header: "Expires",
        width: "9rem",
        wide: true,
        render: (t) => <Time at={t.expires_at} />,
      },
      {
        key: "created",
        header: "Made",
        width: "9rem",
        wide: true,
        render: (t) => <Time at={t.created_at} />,
      },
      {
        key: "revoke",
        header: "Revoke",
        quiet: true,
        width: "6.5rem",
        render: (t) =>
          onRevoke && t.state === "usable" ? (
            <Button
              size="compact-sm"
              variant="subtle"
              color="red"
              onClick={() => onRevoke(t)}
              style={{ float: "right" }}
            >
              Revoke
            </Button>
          ) : null,
      },
    ],
    [groups, onRevoke],
  );
}

function TokenMark({ state }: { state: EnrollmentToken["state"] }) {
  switch (state) {
    case "usable":
      return <Mark color="var(--handrail-good)">Usable</Mark>;
    case "spent":
      return <Mark color="#8a979a">Used up</Mark>;
    case "expired":
      return <Mark color="#8a979a">Expired</Mark>;
    case "revoked":
      return <Mark color="var(--handrail-bad)">Revoked</Mark>;
  }
}
