import { Group } from "@mantine/core";
import type { ReactNode } from "react";
import type { AssetField, Device, SettingState } from "../../api/types.ts";
import { ComplianceMark } from "../../ui/complianceWords.tsx";
import { pathWords } from "../../ui/groupTree.ts";
import { LabelBadge } from "../../ui/labelWords.tsx";
import { DeviceMark } from "../../ui/marks.tsx";
import { SettingMark } from "../../ui/settingWords.tsx";
import { Time } from "../../ui/Time.tsx";
import { sizeWords } from "../../ui/words.ts";
import { osWords } from "./osWords.ts";

/** A column that may be chosen; its key is also its name in an exported file. */
export interface DeviceColumn {
  key: string;
  header: string;
  /** Room it takes, in rem. */
  room: number;
  /** More of the width when there is some to give. */
  grows?: boolean;
  render: (d: Device) => ReactNode;
}

const line = (text: string) => (
  <span className="one-line" style={{ display: "block" }} title={text}>
    {text}
  </span>
);
const time = (at: string | undefined) => (
  <span className="above-link">
    <Time at={at} />
  </span>
);
const size = (bytes: number) => (bytes > 0 ? sizeWords(bytes) : "");
const encryptionWords: Record<string, string> = { yes: "Encrypted", no: "Not encrypted", partly: "Partly" };

const own: readonly DeviceColumn[] = [
  { key: "state", header: "State", room: 7, render: (d) => <DeviceMark state={d.state} /> },
  { key: "os_version", header: "System", room: 13, grows: true, render: (d) => line(osWords(d)) },
  {
    key: "labels",
    header: "Labels",
    room: 11,
    grows: true,
    render: (d) => (
      <Group gap={4}>
        {d.labels.slice(0, 3).map((l) => (
          <LabelBadge key={l.id} label={l} />
        ))}
        {d.labels.length > 3 && <span className="quiet">+{d.labels.length - 3}</span>}
      </Group>
    ),
  },
  { key: "group", header: "Group", room: 11, grows: true, render: (d) => line(pathWords(d.group_path)) },
  {
    key: "last_seen",
    header: "Last seen",
    room: 9,
    render: (d) => (d.state === "online" ? "Now" : time(d.last_seen_at)),
  },
  {
    key: "compliance",
    header: "Compliance",
    room: 9.5,
    render: (d) => d.compliance && <ComplianceMark state={d.compliance} />,
  },
  {
    key: "settings",
    header: "Policy state",
    room: 8,
    render: (d) =>
      d.settings === "none" ? (
        <span className="quiet">No policy</span>
      ) : (
        d.settings && <SettingMark state={d.settings as SettingState} />
      ),
  },
  { key: "memory_mib", header: "Memory", room: 6.5, render: (d) => size(d.memory_bytes) },
  { key: "disk_mib", header: "Disk", room: 6.5, render: (d) => size(d.disk_bytes) },
  { key: "cpu", header: "Processor", room: 14, grows: true, render: (d) => line(d.cpu) },
  {
    key: "encrypted",
    header: "Encryption",
    room: 8.5,
    render: (d) => encryptionWords[d.encrypted] ?? <span className="quiet">Unknown</span>,
  },
  { key: "model", header: "Model", room: 11, grows: true, render: (d) => line(d.model) },
  { key: "serial", header: "Serial number", room: 9, render: (d) => line(d.serial) },
  { key: "hostname", header: "Host name", room: 10, render: (d) => line(d.hostname) },
  { key: "users", header: "Signed in", room: 9, render: (d) => line(d.signed_in.join(", ")) },
  { key: "updates", header: "Updates", room: 6, render: (d) => d.updates?.toLocaleString("en") },
  {
    key: "security_updates",
    header: "Security updates",
    room: 9,
    render: (d) => d.security_updates?.toLocaleString("en"),
  },
  { key: "enrolled", header: "Enrolled", room: 8.5, render: (d) => time(d.enrolled_at) },
  { key: "agent_version", header: "Agent", room: 7, render: (d) => line(d.agent_version) },
];

/** What the list shows to somebody who never chose. */
export const usualColumns: readonly string[] = ["state", "os_version", "labels", "group", "last_seen"];

/** Every column there is, the organisation's own fields last. */
export function deviceColumns(fields: readonly AssetField[]): DeviceColumn[] {
  return [
    ...own,
    ...fields.map((f) => ({
      key: `asset.${f.key}`,
      header: f.name,
      room: f.kind === "text" ? 10 : 8,
      grows: f.kind === "text",
      render: (d: Device) => line(d.assets[f.key] ?? ""),
    })),
  ];
}

/** The chosen columns in their order; names of what is gone are left out. */
export function columnsOf(keys: readonly string[], all: readonly DeviceColumn[]): DeviceColumn[] {
  const chosen = keys.length > 0 ? keys : usualColumns;
  return chosen.flatMap((k) => all.find((c) => c.key === k) ?? []);
}
