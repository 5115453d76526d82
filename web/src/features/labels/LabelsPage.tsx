import { Button, Group, Menu, Modal, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { labelsQuery, useDeleteLabel } from "../../api/labels.ts";
import { useMe } from "../../api/me.ts";
import type { Label } from "../../api/types.ts";
import { CommandDialog } from "../../ui/CommandDialog.tsx";
import { Confirm } from "../../ui/Confirm.tsx";
import { IconButton } from "../../ui/IconButton.tsx";
import { LabelIcon, MoreIcon } from "../../ui/icons.tsx";
import { ListPage } from "../../ui/ListPage.tsx";
import { LabelBadge } from "../../ui/labelWords.tsx";
import { PageLink } from "../../ui/links.tsx";
import { notifyDone } from "../../ui/notify.ts";
import { may } from "../../ui/permissions.ts";
import type { Column } from "../../ui/RowTable.tsx";
import { Empty } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { LabelForm } from "./LabelForm.tsx";

/** Labels: marks on devices, set by hand or by an expression over what devices report. */
export function LabelsPage() {
  const me = useMe();
  const query = useQuery(labelsQuery);
  const [editing, setEditing] = useState<Label | "new" | null>(null);
  const [deleting, setDeleting] = useState<Label | null>(null);
  const [ordering, setOrdering] = useState<Label | null>(null);
  const mayManage = may(me, "device.manage");
  const mayRun = may(me, "command.run");
  const create = mayManage && <Button onClick={() => setEditing("new")}>New label</Button>;
  return (
    <ListPage
      title="Labels"
      lead="Marks that cut across the tree of groups. Smart labels set themselves, and policies follow them."
      actions={create}
      label="Labels"
      query={query}
      rows={query.data?.items ?? []}
      columns={columnsOf({
        ...(mayManage ? { onEdit: setEditing, onDelete: setDeleting } : {}),
        ...(mayRun ? { onRun: setOrdering } : {}),
      })}
      rowKey={(l) => l.id}
      empty={
        <Empty icon={<LabelIcon size={36} />} title="No labels yet" action={create}>
          A smart label such as “laptops without encryption” keeps itself up to date; a static one is set by
          hand.
        </Empty>
      }
    >
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
      <CommandDialog
        order={
          ordering && {
            words: `devices with the label ${ordering.name}`,
            target: { label: ordering.id },
          }
        }
        onClose={() => setOrdering(null)}
      />
      {deleting && <DeleteLabel label={deleting} onClose={() => setDeleting(null)} />}
    </ListPage>
  );
}

/** What may be done with a label; what may not is left out. */
interface LabelActions {
  onEdit?: (l: Label) => void;
  onDelete?: (l: Label) => void;
  onRun?: (l: Label) => void;
}

function columnsOf({ onEdit, onDelete, onRun }: LabelActions): Column<Label>[] {
  return [
    {
      key: "name",
      header: "Label",
      render: (l) => (
        <>
          <Group gap="xs">
            <LabelBadge label={l} />
            <span className="quiet">{l.kind === "smart" ? "sets itself" : "set by hand"}</span>
          </Group>
          {l.description && (
            <Text size="sm" c="dimmed" mt={2}>
              {l.description}
            </Text>
          )}
          {l.expression && (
            <code className="wrap-anywhere narrow-only" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
              {l.expression}
            </code>
          )}
          {l.problem && (
            <Text size="sm" c="var(--handrail-bad)">
              {l.problem}
            </Text>
          )}
        </>
      ),
    },
    {
      key: "expression",
      header: "Expression",
      width: "46%",
      wide: true,
      render: (l) =>
        l.expression && (
          <code className="wrap-anywhere" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
            {l.expression}
          </code>
        ),
    },
    {
      key: "devices",
      header: "Devices",
      width: "7rem",
      render: (l) => (
        <>
          <PageLink
            to="/devices"
            search={{ label: l.id }}
            aria-label={`${countWords(l.devices, "device")} with the label ${l.name}`}
          >
            {l.devices.toLocaleString("en")}
          </PageLink>
          {!l.evaluated && (
            <Text size="sm" c="dimmed">
              Looking…
            </Text>
          )}
        </>
      ),
    },
    {
      key: "change",
      header: "Change",
      quiet: true,
      width: "3.5rem",
      render: (l) =>
        (onEdit || onRun) && (
          <Menu position="bottom-end">
            <Menu.Target>
              <IconButton label={`Change ${l.name}`}>
                <MoreIcon />
              </IconButton>
            </Menu.Target>
            <Menu.Dropdown>
              {onEdit && <Menu.Item onClick={() => onEdit(l)}>Edit…</Menu.Item>}
              {onRun && <Menu.Item onClick={() => onRun(l)}>Run a command…</Menu.Item>}
              {onDelete && (
                <>
                  <Menu.Divider />
                  <Menu.Item c="var(--handrail-bad)" onClick={() => onDelete(l)}>
                    Delete…
                  </Menu.Item>
                </>
              )}
            </Menu.Dropdown>
          </Menu>
        ),
    },
  ];
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
