import { Button, Group, Menu, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { groupsQuery, useDeleteGroup } from "../../api/groups.ts";
import type { DeviceGroup } from "../../api/types.ts";
import { CommandDialog } from "../../ui/CommandDialog.tsx";
import { Confirm } from "../../ui/Confirm.tsx";
import { capabilityList } from "../../ui/capabilities.ts";
import { type GroupNode, groupTrees, policySource } from "../../ui/groupTree.ts";
import { IconButton } from "../../ui/IconButton.tsx";
import { GroupIcon, MoreIcon, ShieldIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { Empty, Loaded } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { GroupDialog, type GroupEdit } from "./GroupDialog.tsx";

/** The tree of device groups with what each says about unattended access. */
export function GroupsPage() {
  const query = useQuery(groupsQuery);
  const [edit, setEdit] = useState<GroupEdit | null>(null);
  const [deleting, setDeleting] = useState<DeviceGroup | null>(null);
  const [ordering, setOrdering] = useState<DeviceGroup | null>(null);
  const top = query.data?.find((g) => g.may.includes("group.manage"));
  return (
    <Page
      title="Groups"
      lead="Where a device stands decides who may act on it and whether people are asked. Groups inherit from those above."
      actions={top && <Button onClick={() => setEdit({ kind: "new", parent: top.id })}>New group</Button>}
    >
      <div className="panel panel-pad">
        <Loaded query={query}>
          {(groups) =>
            groups.length === 0 ? (
              <Empty icon={<GroupIcon size={36} />} title="No groups">
                None of the groups is yours to see.
              </Empty>
            ) : (
              <ul className="tree">
                {groupTrees(groups).map((n) => (
                  <Branch
                    key={n.group.id}
                    node={n}
                    groups={groups}
                    onEdit={setEdit}
                    onDelete={setDeleting}
                    onRun={setOrdering}
                  />
                ))}
              </ul>
            )
          }
        </Loaded>
      </div>
      <GroupDialog edit={edit} groups={query.data ?? []} onClose={() => setEdit(null)} />
      <CommandDialog
        order={
          ordering && {
            words: ordering.parent_id ? `the devices of ${ordering.name}` : ordering.name.toLowerCase(),
            target: { group: ordering.id },
          }
        }
        onClose={() => setOrdering(null)}
      />
      <DeleteDialog group={deleting} onClose={() => setDeleting(null)} />
    </Page>
  );
}

interface BranchProps {
  node: GroupNode;
  groups: DeviceGroup[];
  onEdit: (edit: GroupEdit) => void;
  onDelete: (g: DeviceGroup) => void;
  onRun: (g: DeviceGroup) => void;
}

function Branch({ node, groups, onEdit, onDelete, onRun }: BranchProps) {
  const { group, children } = node;
  const isTop = !group.parent_id;
  const mayManage = group.may.includes("group.manage");
  const mayRun = group.may.includes("command.run");
  return (
    <li>
      <div className="tree-row">
        <div style={{ flex: 1, minWidth: 0 }}>
          <Group gap="sm" wrap="wrap">
            <Text fw={600} className="wrap-anywhere">
              {group.name}
            </Text>
            <Numbers group={group} />
          </Group>
          <PolicyLine group={group} groups={groups} />
        </div>
        {(mayManage || mayRun) && (
          <Menu position="bottom-end">
            <Menu.Target>
              <IconButton label={`Change ${group.name}`}>
                <MoreIcon />
              </IconButton>
            </Menu.Target>
            <Menu.Dropdown>
              {mayRun && <Menu.Item onClick={() => onRun(group)}>Run a command…</Menu.Item>}
              {mayManage && (
                <>
                  <Menu.Item onClick={() => onEdit({ kind: "policy", group })}>Unattended access…</Menu.Item>
                  <Menu.Item onClick={() => onEdit({ kind: "edit", group })}>
                    {isTop ? "Rename…" : "Rename or move…"}
                  </Menu.Item>
                  <Menu.Item onClick={() => onEdit({ kind: "new", parent: group.id })}>
                    New group below…
                  </Menu.Item>
                </>
              )}
              {mayManage && !isTop && (
                <>
                  <Menu.Divider />
                  <Menu.Item c="var(--handrail-bad)" onClick={() => onDelete(group)}>
                    Delete…
                  </Menu.Item>
                </>
              )}
            </Menu.Dropdown>
          </Menu>
        )}
      </div>
      {children.length > 0 && (
        <ul>
          {children.map((n) => (
            <Branch key={n.group.id} {...{ node: n, groups, onEdit, onDelete, onRun }} />
          ))}
        </ul>
      )}
    </li>
  );
}

/** How many devices and policies there are, each leading to them. */
function Numbers({ group }: { group: DeviceGroup }) {
  const { devices, devices_below: all, policies } = group;
  const deeper = all !== undefined && devices !== undefined ? all - devices : 0;
  return (
    <>
      <PageLink to="/devices" search={{ group: group.id }} size="sm">
        {all === undefined ? "Devices" : countWords(all, "device")}{" "}
        <span className="visually-hidden">in {group.name}</span>
      </PageLink>
      {deeper > 0 && (
        <Text size="sm" c="dimmed">
          {devices === 0 ? "all in groups below" : `${deeper.toLocaleString("en")} of them in groups below`}
        </Text>
      )}
      {policies !== undefined && policies > 0 && (
        <PageLink to="/policies" search={{ group: group.id }} size="sm">
          {countWords(policies, "policy", "policies")}{" "}
          <span className="visually-hidden">of {group.name}</span>
        </PageLink>
      )}
    </>
  );
}

/** In a line: are people asked, and who says so. */
function PolicyLine({ group, groups }: { group: DeviceGroup; groups: DeviceGroup[] }) {
  const inherited = group.unattended ? "" : inheritedFrom(groups, group.id);
  if (!group.in_force.enabled) {
    return (
      <Text size="sm" c="dimmed">
        People are asked{inherited}
      </Text>
    );
  }
  return (
    <Text size="sm" c="dimmed" style={{ display: "flex", gap: 6, alignItems: "center" }}>
      <span style={{ color: "var(--mantine-primary-color-filled)", display: "flex" }}>
        <ShieldIcon size={15} />
      </span>
      <span>
        Unattended access: {capabilityList(group.in_force.capabilities).toLowerCase()}
        {inherited}
      </span>
    </Text>
  );
}

function inheritedFrom(groups: DeviceGroup[], id: string): string {
  const source = policySource(groups, id);
  return source ? ` (from “${source.name}”)` : "";
}

function DeleteDialog({ group, onClose }: { group: DeviceGroup | null; onClose: () => void }) {
  const remove = useDeleteGroup();
  return (
    <Confirm
      opened={group !== null}
      title={`Delete the group ${group?.name ?? ""}?`}
      verb="Delete group"
      busy={remove.isPending}
      error={remove.error}
      onClose={() => {
        remove.reset();
        onClose();
      }}
      onConfirm={() => group && remove.mutate(group.id, { onSuccess: onClose })}
    >
      Only an empty group can be deleted: move its devices and groups first, and take away rights and tokens
      that name it.
    </Confirm>
  );
}
