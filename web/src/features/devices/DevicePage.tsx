import { Alert, Button, Group, Menu, Skeleton, Tabs, Text, Title } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { isNotFound } from "../../api/client.ts";
import { deviceQuery } from "../../api/devices.ts";
import { groupsQuery } from "../../api/groups.ts";
import { useMe } from "../../api/me.ts";
import { ownOpenQuery, sessionsQuery, useEndSession } from "../../api/sessions.ts";
import type { Device } from "../../api/types.ts";
import { capabilityList } from "../../ui/capabilities.ts";
import { policySource } from "../../ui/groupTree.ts";
import { IconButton } from "../../ui/IconButton.tsx";
import { DeviceIcon, InfoIcon, MoreIcon, ShieldIcon, WarningIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { DeviceMark } from "../../ui/marks.tsx";
import { notifyFailed } from "../../ui/notify.ts";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { SessionList } from "../../ui/SessionList.tsx";
import { Empty, ErrorPanel } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { ConnectButton, DiagnoseButton } from "./ConnectButton.tsx";
import { DeviceAssets } from "./DeviceAssets.tsx";
import { DeviceChanges } from "./DeviceChanges.tsx";
import { DeviceCommands } from "./DeviceCommands.tsx";
import { DeviceCompliance } from "./DeviceCompliance.tsx";
import { DeviceCondition } from "./DeviceCondition.tsx";
import { type DeviceDialog, DeviceDialogs } from "./DeviceDialogs.tsx";
import { DeviceLabels } from "./DeviceLabels.tsx";
import { DeviceSettings } from "./DeviceSettings.tsx";
import { DeviceTimeline } from "./DeviceTimeline.tsx";
import { Inventory, InventoryInShort } from "./Inventory.tsx";
import { osWords } from "./osWords.ts";
import type { DeviceTab } from "./tabs.ts";

interface Tabbed {
  tab: DeviceTab;
  onTab: (tab: DeviceTab) => void;
}

/** One device: connect to it, what it is, what it must be, what happened on it. */
export function DevicePage({ id, ...tabbed }: { id: string } & Tabbed) {
  const query = useQuery(deviceQuery(id));
  if (query.data) return <DeviceContent device={query.data} {...tabbed} />;
  if (isNotFound(query.error)) {
    return (
      <Page title="No such device" above={<Back />}>
        <div className="panel">
          <Empty
            icon={<DeviceIcon size={36} />}
            title="This device is not here"
            action={<ButtonLink to="/devices">All devices</ButtonLink>}
          >
            It may have been deleted, or it is in a group that is not yours.
          </Empty>
        </div>
      </Page>
    );
  }
  if (query.isError) {
    return (
      <Page title="Device" above={<Back />}>
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      </Page>
    );
  }
  return (
    <div className="page" role="status" aria-label="Loading">
      <Skeleton height={28} width={260} mb="md" mt="lg" />
      <Skeleton height={160} radius="md" />
    </div>
  );
}

function Back() {
  return (
    <PageLink to="/devices" size="sm" c="dimmed">
      ← Devices
    </PageLink>
  );
}

function DeviceContent({ device, ...tabbed }: { device: Device } & Tabbed) {
  const [dialog, setDialog] = useState<DeviceDialog>(null);
  const mayConnect = device.may.includes("session.view") && device.state !== "revoked";
  return (
    <Page
      title={device.name}
      mark={<DeviceMark state={device.state} />}
      above={<Back />}
      lead={<DeviceLead device={device} />}
      actions={
        <>
          {mayConnect && device.capabilities.includes("diagnostics") && <DiagnoseButton device={device} />}
          {mayConnect && <ConnectButton device={device} />}
          {(device.may.includes("device.manage") || device.may.includes("device.revoke")) && (
            <DeviceMenu device={device} onChoose={setDialog} />
          )}
        </>
      }
    >
      <DeviceNotices device={device} />
      {mayConnect && <OwnOpenSession device={device} />}
      <DeviceParts device={device} {...tabbed} />
      <DeviceDialogs device={device} dialog={dialog} onClose={() => setDialog(null)} />
    </Page>
  );
}

/** The parts of the page, one at a time; each fetches what it shows when it is first opened. */
function DeviceParts({ device, tab, onTab }: { device: Device } & Tabbed) {
  const me = useMe();
  const parts: { tab: DeviceTab; label: string; show: boolean; part: () => ReactNode }[] = [
    {
      tab: "overview",
      label: "Overview",
      show: true,
      part: () => (
        <InventoryInShort
          device={device}
          first={
            <>
              <DeviceCondition device={device} />
              <DeviceChanges device={device} />
            </>
          }
          beside={
            <>
              <Access device={device} />
              <DeviceLabels device={device} />
              <DeviceAssets device={device} />
            </>
          }
        />
      ),
    },
    { tab: "inventory", label: "Inventory", show: true, part: () => <Inventory device={device} /> },
    {
      tab: "settings",
      label: "Settings",
      show: may(me, "policy.view"),
      part: () => <DeviceSettings device={device} />,
    },
    {
      tab: "compliance",
      label: "Compliance",
      show: may(me, "compliance.view"),
      part: () => <DeviceCompliance device={device} />,
    },
    { tab: "commands", label: "Commands", show: true, part: () => <DeviceCommands device={device} /> },
    { tab: "timeline", label: "Timeline", show: true, part: () => <DeviceTimeline device={device} /> },
    {
      tab: "support",
      label: "Support",
      show: may(me, "session.list"),
      part: () => <RecentSessions device={device} />,
    },
  ];
  const shown = parts.filter((p) => p.show);
  const open = shown.some((p) => p.tab === tab) ? tab : "overview";
  return (
    <Tabs value={open} onChange={(t) => t && onTab(t as DeviceTab)} keepMounted={false}>
      <Tabs.List mb="md" className="scroll-tabs">
        {shown.map((p) => (
          <Tabs.Tab key={p.tab} value={p.tab}>
            {p.label}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {shown.map((p) => (
        <Tabs.Panel key={p.tab} value={p.tab}>
          {p.part()}
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}

function DeviceLead({ device }: { device: Device }) {
  return (
    <>
      {osWords(device)}
      {device.state !== "online" && (
        <>
          {" · last seen "}
          <Time at={device.last_seen_at} />
        </>
      )}
    </>
  );
}

function DeviceMenu({ device, onChoose }: { device: Device; onChoose: (d: DeviceDialog) => void }) {
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <IconButton label="More about this device" variant="default" size={36}>
          <MoreIcon />
        </IconButton>
      </Menu.Target>
      <Menu.Dropdown>
        {device.may.includes("device.manage") && (
          <Menu.Item onClick={() => onChoose("edit")}>Rename or move…</Menu.Item>
        )}
        {device.may.includes("device.revoke") && (
          <>
            <Menu.Divider />
            {device.state !== "revoked" && (
              <Menu.Item c="var(--handrail-bad)" onClick={() => onChoose("revoke")}>
                Revoke…
              </Menu.Item>
            )}
            <Menu.Item c="var(--handrail-bad)" onClick={() => onChoose("delete")}>
              Delete the record…
            </Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}

function DeviceNotices({ device }: { device: Device }) {
  return (
    <>
      {device.copied_at && (
        <Alert
          color="red"
          icon={<WarningIcon />}
          mb="md"
          title="A copy of this device's identity was refused"
        >
          Another machine tried to connect as this device (<Time at={device.copied_at} />
          ). If its disk was cloned, enroll the clone anew. If not, revoke this device and find out who holds
          its key.
        </Alert>
      )}
      {device.state === "revoked" && (
        <Alert color="red" icon={<WarningIcon />} mb="md" title="Revoked">
          This device was cut off <Time at={device.revoked_at} />. It can come back only by a new enrollment.
        </Alert>
      )}
    </>
  );
}

/** Leaving a screen does not end its session; this leads back to one's own. */
function OwnOpenSession({ device }: { device: Device }) {
  const me = useMe();
  const own = useQuery(ownOpenQuery(device.id, me.id)).data?.[0];
  const end = useEndSession(own?.id ?? "");
  if (!own) return null;
  return (
    <Alert color="rail" variant="light" icon={<InfoIcon />} mb="md">
      <Group justify="space-between" gap="sm">
        <span>
          Your session from <Time at={own.requested_at} /> is still open.
        </span>
        <Group gap="xs">
          <ButtonLink size="compact-sm" to="/sessions/$sessionId/live" params={{ sessionId: own.id }}>
            Return to it
          </ButtonLink>
          <Button
            size="compact-sm"
            variant="default"
            loading={end.isPending}
            onClick={() =>
              end.mutate("", { onError: (error) => notifyFailed("The session could not be ended", error) })
            }
          >
            End it
          </Button>
        </Group>
      </Group>
    </Alert>
  );
}

function RecentSessions({ device }: { device: Device }) {
  const query = useInfiniteQuery(sessionsQuery({ device: device.id }, 5));
  const rows = query.data?.pages[0]?.items ?? [];
  return (
    <section className="panel panel-pad" aria-labelledby="device-sessions">
      <Group justify="space-between" mb="xs">
        <Title order={2} id="device-sessions">
          Sessions
        </Title>
        {rows.length > 0 && (
          <PageLink to="/sessions" search={{ device: device.id }} size="sm">
            All of this device
          </PageLink>
        )}
      </Group>
      {query.isPending ? (
        <Skeleton height={60} />
      ) : query.isError ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : rows.length === 0 ? (
        <Text c="dimmed">Nobody has connected to this device yet.</Text>
      ) : (
        <SessionList sessions={rows.slice(0, 5)} by="operator" />
      )}
    </section>
  );
}

function Access({ device }: { device: Device }) {
  const groups = useQuery(groupsQuery).data ?? [];
  const source = policySource(groups, device.group_id);
  return (
    <section className="panel panel-pad" aria-labelledby="device-access">
      <Title order={2} id="device-access" mb="xs">
        Group and access
      </Title>
      <dl className="facts">
        <dt>Group</dt>
        <dd>{device.group_path.join(" › ")}</dd>
        <dt>Connecting</dt>
        <dd>
          {device.unattended ? (
            <>
              <ShieldInline /> At once, without asking
              {source?.unattended &&
                `, by the policy of “${source.name}”: ${capabilityList(source.unattended.capabilities).toLowerCase()}`}
            </>
          ) : (
            "The person at the device is asked each time. No answer is a no."
          )}
        </dd>
        <dt>Enrolled</dt>
        <dd>
          <Time at={device.enrolled_at} />
        </dd>
        <dt>Device id</dt>
        <dd className="mono">{device.id}</dd>
      </dl>
    </section>
  );
}

function ShieldInline() {
  return (
    <span
      style={{ verticalAlign: "-3px", display: "inline-block", color: "var(--mantine-primary-color-filled)" }}
    >
      <ShieldIcon size={16} />
    </span>
  );
}
