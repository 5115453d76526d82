import { Progress, SimpleGrid, Skeleton, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { inventoryQuery } from "../../api/devices.ts";
import type { Device, Disk, Filesystem, InventorySections, NetworkInterface } from "../../api/types.ts";
import { ErrorPanel } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords, sizeWords } from "../../ui/words.ts";
import { InventoryMore, Software } from "./InventoryMore.tsx";

/**
 * The sections of a device's inventory, once there are some; in words what is missing before.
 */
export function WithInventory({
  device,
  children,
}: {
  device: Device;
  children: (sections: InventorySections, changed: string) => ReactNode;
}) {
  const query = useQuery(inventoryQuery(device.id));
  if (query.isPending) return <Skeleton height={320} radius="md" />;
  if (!query.data) {
    return (
      <ErrorPanel
        error={query.error}
        title="The inventory could not be loaded"
        onRetry={() => void query.refetch()}
      />
    );
  }
  const newest = Object.values(query.data.changed_at ?? {})
    .sort()
    .at(-1);
  if (newest === undefined) return <NoInventory online={device.state === "online"} />;
  return children(query.data.sections, newest);
}

interface InShortProps {
  device: Device;
  /** What comes before everything else, and what stands beside it. */
  first: ReactNode;
  beside: ReactNode;
}

/** What the device is, in short: system, hardware, who is there. */
export function InventoryInShort({ device, first, beside }: InShortProps) {
  return (
    <SimpleGrid cols={{ base: 1, md: 2 }} style={{ alignItems: "start" }}>
      <Stack gap="md">
        {first}
        <WithInventory device={device}>
          {(s) => (
            <>
              <SystemPanel s={s} />
              <HardwarePanel s={s} />
              <StoragePanel disks={[]} filesystems={s.filesystems ?? []} />
            </>
          )}
        </WithInventory>
      </Stack>
      <Stack gap="md">
        {beside}
        <WithInventory device={device}>
          {(s) => (
            <>
              <UsersPanel s={s} />
              <MonitorsPanel s={s} />
            </>
          )}
        </WithInventory>
      </Stack>
    </SimpleGrid>
  );
}

/** Everything the device says it is, section by section, in two columns. */
export function Inventory({ device }: { device: Device }) {
  return (
    <WithInventory device={device}>
      {(s, changed) => (
        <>
          <SimpleGrid cols={{ base: 1, md: 2 }} style={{ alignItems: "start" }}>
            <Stack gap="md">
              <SystemPanel s={s} />
              <HardwarePanel s={s} />
              <StoragePanel disks={s.disks ?? []} filesystems={s.filesystems ?? []} />
            </Stack>
            <Stack gap="md">
              <UsersPanel s={s} />
              <MonitorsPanel s={s} />
              <NetworkPanel interfaces={s.network ?? []} />
            </Stack>
          </SimpleGrid>
          <Software device={device} />
          <InventoryMore sections={s} />
          <Text size="sm" c="dimmed" mt="md">
            Inventory last changed <Time at={changed} />.
          </Text>
        </>
      )}
    </WithInventory>
  );
}

function NoInventory({ online }: { online: boolean }) {
  return (
    <div className="panel panel-pad">
      <Text c="dimmed">
        {online
          ? "The inventory is on its way; it takes some seconds after the first connection."
          : "This device has not sent an inventory yet. It does once it connects."}
      </Text>
    </div>
  );
}

function Panel({ title, children }: { title: string; children: ReactNode }) {
  const id = `inventory-${title.toLowerCase().replace(/\W+/g, "-")}`;
  return (
    <section className="panel panel-pad" aria-labelledby={id}>
      <Title order={2} id={id} mb="xs">
        {title}
      </Title>
      {children}
    </section>
  );
}

/** Label and value pairs; a pair whose value is unknown is left out. */
function Facts({ pairs }: { pairs: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {pairs
        .filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false)
        .map(([label, value]) => (
          <div key={label} style={{ display: "contents" }}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function fromUs(us: number | undefined): Date | undefined {
  return us ? new Date(us / 1000) : undefined;
}

function SystemPanel({ s }: { s: InventorySections }) {
  const h: Partial<NonNullable<InventorySections["host"]>> = s.host ?? {};
  return (
    <Panel title="System">
      <Facts
        pairs={[
          ["Host name", h.hostname],
          ["System", h.os_version || h.os],
          ["Kernel", h.kernel],
          ["Architecture", h.arch],
          ["Virtual", h.virtualization],
          ["Time zone", h.timezone],
          ["Started", h.boot_time_us ? <Time key="started" at={fromUs(h.boot_time_us)} /> : null],
          ["Agent", s.agent?.version && `${s.agent.version}${s.agent.go ? ` (${s.agent.go})` : ""}`],
        ]}
      />
    </Panel>
  );
}

function HardwarePanel({ s }: { s: InventorySections }) {
  const w: Partial<NonNullable<InventorySections["hardware"]>> = s.hardware ?? {};
  const cpu: Partial<NonNullable<typeof w.cpu>> = w.cpu ?? {};
  const cores = cpu.cores
    ? `${countWords(cpu.cores, "core")}${cpu.threads ? `, ${countWords(cpu.threads, "thread")}` : ""}`
    : "";
  return (
    <Panel title="Hardware">
      <Facts
        pairs={[
          ["Model", [w.vendor, w.model].filter(Boolean).join(" ")],
          ["Serial number", w.serial && <span className="mono">{w.serial}</span>],
          ["Firmware", w.firmware],
          ["Processor", cpu.model],
          ["", cores],
          ["Memory", w.memory_bytes ? sizeWords(w.memory_bytes) : null],
        ]}
      />
    </Panel>
  );
}

function StoragePanel({ disks, filesystems }: { disks: Disk[]; filesystems: Filesystem[] }) {
  return (
    <Panel title="Storage">
      {disks.length === 0 && filesystems.length === 0 && <Text c="dimmed">Nothing reported.</Text>}
      {filesystems.map((f) => (
        <FilesystemRow key={`${f.device} ${f.mount}`} f={f} />
      ))}
      {disks.length > 0 && (
        <Facts
          pairs={disks.map((d) => [
            d.name ?? "disk",
            [sizeWords(d.size_bytes), d.model, d.rotational ? "spinning" : "", d.removable ? "removable" : ""]
              .filter(Boolean)
              .join(" · "),
          ])}
        />
      )}
    </Panel>
  );
}

function FilesystemRow({ f }: { f: Filesystem }) {
  const size = f.size_bytes ?? 0;
  const used = Math.max(0, size - (f.free_bytes ?? 0));
  const share = size > 0 ? (used / size) * 100 : 0;
  const label = `${f.mount ?? "?"}: ${sizeWords(f.free_bytes)} free of ${sizeWords(size)}`;
  return (
    <div style={{ marginBottom: "0.6rem" }}>
      <div style={{ display: "flex", justifyContent: "space-between", gap: "0.75rem" }}>
        <span className="one-line" title={f.device}>
          {f.mount} <span className="quiet">{f.type}</span>
        </span>
        <span className="quiet" style={{ whiteSpace: "nowrap" }}>
          {sizeWords(f.free_bytes)} free of {sizeWords(size)}
        </span>
      </div>
      <Progress value={share} size="sm" mt={3} color={share > 92 ? "red.7" : "rail"} aria-label={label} />
    </div>
  );
}

function NetworkPanel({ interfaces }: { interfaces: NetworkInterface[] }) {
  const sorted = [...interfaces].sort((a, b) => Number(b.up ?? false) - Number(a.up ?? false));
  return (
    <Panel title="Network">
      {sorted.length === 0 ? (
        <Text c="dimmed">Nothing reported.</Text>
      ) : (
        <Facts
          pairs={sorted.map((n) => [
            n.name ?? "interface",
            <>
              {(n.addresses ?? []).map((a) => (
                <span key={a} className="mono" style={{ display: "block" }}>
                  {a}
                </span>
              ))}
              <span className="quiet">
                {[
                  n.up ? "up" : "down",
                  n.mac,
                  n.speed_mbps && n.speed_mbps > 0 ? `${n.speed_mbps} Mbit/s` : "",
                ]
                  .filter(Boolean)
                  .join(" · ")}
              </span>
            </>,
          ])}
        />
      )}
    </Panel>
  );
}

function MonitorsPanel({ s }: { s: InventorySections }) {
  const monitors = s.monitors ?? [];
  return (
    <Panel title="Monitors">
      {monitors.length === 0 ? (
        <Text c="dimmed">No monitor, or nobody's desktop is showing.</Text>
      ) : (
        <Facts
          pairs={monitors.map((m) => [
            m.name ?? "monitor",
            `${m.width} × ${m.height}${m.primary ? " · primary" : ""}${m.x || m.y ? ` · at ${m.x}, ${m.y}` : ""}`,
          ])}
        />
      )}
    </Panel>
  );
}

function UsersPanel({ s }: { s: InventorySections }) {
  const users = s.users ?? [];
  return (
    <Panel title="Signed in">
      {users.length === 0 ? (
        <Text c="dimmed">Nobody is signed in.</Text>
      ) : (
        <Facts
          pairs={users.map((u) => [
            u.name ?? "user",
            <>
              {[u.graphical ? "desktop" : "terminal", u.terminal, u.host ? `from ${u.host}` : ""]
                .filter(Boolean)
                .join(" · ")}
              {u.since_us ? (
                <>
                  {" · since "}
                  <Time at={fromUs(u.since_us)} />
                </>
              ) : null}
            </>,
          ])}
        />
      )}
    </Panel>
  );
}
