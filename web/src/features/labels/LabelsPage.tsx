import { Badge, Button, Group, Menu, Modal, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { labelsQuery, useDeleteLabel } from "../../api/labels.ts";
import { useMe } from "../../api/me.ts";
import type { Label } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { IconButton } from "../../ui/IconButton.tsx";
import { LabelIcon, MoreIcon } from "../../ui/icons.tsx";
import { LabelBadge } from "../../ui/labelWords.tsx";
import { PageLink } from "../../ui/links.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty, Loaded } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { LabelForm } from "./LabelForm.tsx";

/** Labels: marks on devices, set by hand or by an expression over what devices report. */
export function LabelsPage() {
  const me = useMe();
  const query = useQuery(labelsQuery);
  const [editing, setEditing] = useState<Label | "new" | null>(null);
  const [deleting, setDeleting] = useState<Label | null>(null);
  const mayManage = may(me, "device.manage");
  const create = mayManage && <Button onClick={() => setEditing("new")}>New label</Button>;
  return (
    <Page
      title="Labels"
      lead="Marks that cut across the tree of groups. Smart labels set themselves, and policies follow them."
      actions={create}
    >
      <div className="panel">
        <Loaded query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon={<LabelIcon size={36} />} title="No labels yet" action={create}>
                A smart label such as “laptops without encryption” keeps itself up to date; a static one is
                set by hand.
              </Empty>
            ) : (
              <ul className="bare-list panel-pad">
                {items.map((l) => (
                  <li key={l.id} className="tree-row">
                    <div style={{ flex: 1, minWidth: 0 }}>
                      <Group gap="sm">
                        <LabelBadge label={l} />
                        <Badge size="sm" variant="light">
                          {l.kind}
                        </Badge>
                        <PageLink to="/devices" search={{ label: l.id }} size="sm">
                          {countWords(l.devices, "device")}
                        </PageLink>
                      </Group>
                      {l.description && <Text c="dimmed">{l.description}</Text>}
                      {l.expression && <code className="wrap-anywhere">{l.expression}</code>}
                      {l.problem && <Text c="var(--handrail-bad)">{l.problem}</Text>}
                      {!l.evaluated && <Text c="dimmed">Looking at all devices…</Text>}
                    </div>
                    {mayManage && (
                      <Menu position="bottom-end">
                        <Menu.Target>
                          <IconButton label={`Change ${l.name}`}>
                            <MoreIcon />
                          </IconButton>
                        </Menu.Target>
                        <Menu.Dropdown>
                          <Menu.Item onClick={() => setEditing(l)}>Edit…</Menu.Item>
                          <Menu.Divider />
                          <Menu.Item c="var(--handrail-bad)" onClick={() => setDeleting(l)}>
                            Delete…
                          </Menu.Item>
                        </Menu.Dropdown>
                      </Menu>
                    )}
                  </li>
                ))}
              </ul>
            )
          }
        </Loaded>
      </div>
      <Modal
        opened={editing !== null}
        onClose={() => setEditing(null)}
        size="lg"
        title={<Text fw={650}>{editing === "new" ? "New label" : "Edit label"}</Text>}
      >
        {editing && (
          <LabelForm {...(editing === "new" ? {} : { label: editing })} onClose={() => setEditing(null)} />
        )}
      </Modal>
      {deleting && <DeleteLabel label={deleting} onClose={() => setDeleting(null)} />}
    </Page>
  );
}

function DeleteLabel({ label, onClose }: { label: Label; onClose: () => void }) {
  const remove = useDeleteLabel(label.id);
  return (
    <Confirm
      opened
      title={`Delete ${label.name}?`}
      verb="Delete"
      busy={remove.isPending}
      error={remove.error}
      onClose={onClose}
      onConfirm={() =>
        remove.mutate(undefined, {
          onSuccess: () => {
            notifyDone(`${label.name} is deleted.`);
            onClose();
          },
        })
      }
    >
      It is taken off {countWords(label.devices, "device")}. A label that a policy is assigned to cannot be
      deleted.
    </Confirm>
  );
}
