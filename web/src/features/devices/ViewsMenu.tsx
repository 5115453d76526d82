import { Button, Menu, Modal, Switch, Text, VisuallyHidden } from "@mantine/core";
import { useState } from "react";
import { type DeviceFilter, useSaveDeviceLayout } from "../../api/devices.ts";
import type { DeviceLayout, View } from "../../api/types.ts";
import { useCreateView, useDeleteView, useReplaceView } from "../../api/views.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { CheckIcon, DownIcon, ViewIcon } from "../../ui/icons.tsx";
import { NameForm } from "../../ui/NameForm.tsx";
import { notifyDone, notifyFailed } from "../../ui/notify.ts";
import { searchText } from "./searchText.ts";

/** The address of the list with no view, even for somebody whose list opens with one. */
export const noView = "all";

interface ViewsMenuProps {
  views: readonly View[];
  /** The view that the list was opened with. */
  open: View | undefined;
  filter: DeviceFilter;
  /** Keys of the columns shown now. */
  columns: readonly string[];
  layout: DeviceLayout | undefined;
  onOpen: (view: View | null) => void;
}

/** What a view keeps of a filter. */
const kept = (filter: DeviceFilter) => ({
  filter: searchText(filter),
  sort: filter.sort === "last_seen" ? "last_seen" : "",
});

/** Whether the list shows something else than the view it was opened with. */
export function differs(view: View, filter: DeviceFilter): boolean {
  const now = kept(filter);
  return now.filter !== view.filter || now.sort !== view.sort;
}

/** Saved searches: to open, keep, change, share and forget them. */
export function ViewsMenu({ views, open, filter, columns, layout, onOpen }: ViewsMenuProps) {
  const [dialog, setDialog] = useState<"save" | "rename" | "delete" | null>(null);
  const replace = useReplaceView();
  const save = useSaveDeviceLayout();
  const first = layout?.view_id ?? "";
  const changed = open !== undefined && differs(open, filter);
  const item = (v: View) => (
    <Menu.Item
      key={v.id}
      onClick={() => onOpen(v)}
      leftSection={v.id === open?.id ? <CheckIcon size={16} /> : <span style={{ width: 16 }} />}
      aria-current={v.id === open?.id ? "true" : undefined}
    >
      {v.name}
      {v.id === first && <span className="quiet"> · opens first</span>}
    </Menu.Item>
  );
  const mine = views.filter((v) => v.mine);
  const shared = views.filter((v) => !v.mine);
  const openFirst = (id: string, words: string) =>
    save.mutate(
      { columns: layout?.columns ?? [], view_id: id },
      {
        onSuccess: () => notifyDone(words),
        onError: (e) => notifyFailed("That was not remembered", e),
      },
    );
  return (
    <>
      <Menu position="bottom-start" width={280}>
        <Menu.Target>
          <Button
            variant="default"
            leftSection={<ViewIcon size={16} />}
            rightSection={<DownIcon size={14} />}
            maw="18rem"
          >
            {open && <VisuallyHidden>View: </VisuallyHidden>}
            <span className="one-line">{open?.name ?? "Views"}</span>
            {changed && <span className="quiet">&nbsp;· changed</span>}
          </Button>
        </Menu.Target>
        <Menu.Dropdown mah="70vh" style={{ overflowY: "auto" }}>
          <Menu.Item
            onClick={() => onOpen(null)}
            leftSection={open ? <span style={{ width: 16 }} /> : <CheckIcon size={16} />}
          >
            All devices
            {first === "" && <span className="quiet"> · opens first</span>}
          </Menu.Item>
          {mine.length > 0 && <Menu.Label>Yours</Menu.Label>}
          {mine.map(item)}
          {shared.length > 0 && <Menu.Label>Shared by others</Menu.Label>}
          {shared.map(item)}
          <Menu.Divider />
          {open?.mine && changed && (
            <Menu.Item
              onClick={() =>
                replace.mutate(
                  {
                    id: open.id,
                    name: open.name,
                    shared: open.shared,
                    ...kept(filter),
                    columns: [...columns],
                  },
                  {
                    onSuccess: () => notifyDone(`${open.name} is changed.`),
                    onError: (e) => notifyFailed("The view was not changed", e),
                  },
                )
              }
            >
              Save the changes to {open.name}
            </Menu.Item>
          )}
          <Menu.Item onClick={() => setDialog("save")}>
            {open ? "Save as another view…" : "Save this as a view…"}
          </Menu.Item>
          {open && open.id !== first && (
            <Menu.Item onClick={() => openFirst(open.id, `Devices open with ${open.name} from now on.`)}>
              Open devices with this view
            </Menu.Item>
          )}
          {first !== "" && (
            <Menu.Item onClick={() => openFirst("", "Devices open with all from now on.")}>
              Open devices with all
            </Menu.Item>
          )}
          {open?.mine && (
            <>
              <Menu.Item onClick={() => setDialog("rename")}>Rename or share…</Menu.Item>
              <Menu.Item c="var(--handrail-bad)" onClick={() => setDialog("delete")}>
                Delete…
              </Menu.Item>
            </>
          )}
        </Menu.Dropdown>
      </Menu>
      <Modal
        opened={dialog === "save"}
        onClose={() => setDialog(null)}
        title={<Text fw={650}>Save as a view</Text>}
      >
        <SaveForm {...{ filter, columns, onOpen }} onClose={() => setDialog(null)} />
      </Modal>
      {open && (
        <Modal
          opened={dialog === "rename"}
          onClose={() => setDialog(null)}
          title={<Text fw={650}>Rename or share</Text>}
        >
          <RenameForm view={open} onClose={() => setDialog(null)} />
        </Modal>
      )}
      {open && dialog === "delete" && (
        <DeleteView view={open} onDeleted={() => onOpen(null)} onClose={() => setDialog(null)} />
      )}
    </>
  );
}

const sharing = "Everybody may open it and sees in it only the devices that they may see.";

function SaveForm({
  filter,
  columns,
  onOpen,
  onClose,
}: Pick<ViewsMenuProps, "filter" | "columns" | "onOpen"> & { onClose: () => void }) {
  const create = useCreateView();
  const [shared, setShared] = useState(false);
  return (
    <NameForm
      what="A view"
      about={null}
      verb="Save view"
      failed="The view was not saved"
      busy={create.isPending}
      error={create.error}
      onSave={({ name }, onError) =>
        create.mutate(
          { name, shared, ...kept(filter), columns: [...columns] },
          {
            onSuccess: (v) => {
              notifyDone(`${v.name} is saved.`);
              onClose();
              onOpen(v);
            },
            onError,
          },
        )
      }
      onClose={onClose}
    >
      <Text size="sm" c="dimmed">
        Keeps the search and its filters, the order, and the columns.
      </Text>
      <Switch
        label="Shared"
        description={sharing}
        checked={shared}
        onChange={(e) => setShared(e.currentTarget.checked)}
      />
    </NameForm>
  );
}

function RenameForm({ view, onClose }: { view: View; onClose: () => void }) {
  const replace = useReplaceView();
  const [shared, setShared] = useState(view.shared);
  return (
    <NameForm
      initial={{ name: view.name }}
      what="A view"
      about={null}
      verb="Save"
      failed="The view was not changed"
      busy={replace.isPending}
      error={replace.error}
      onSave={({ name }, onError) =>
        replace.mutate(
          { id: view.id, filter: view.filter, sort: view.sort, columns: view.columns, name, shared },
          { onSuccess: onClose, onError },
        )
      }
      onClose={onClose}
    >
      <Switch
        label="Shared"
        description={sharing}
        checked={shared}
        onChange={(e) => setShared(e.currentTarget.checked)}
      />
    </NameForm>
  );
}

function DeleteView({
  view,
  onDeleted,
  onClose,
}: {
  view: View;
  onDeleted: () => void;
  onClose: () => void;
}) {
  const remove = useDeleteView();
  return (
    <Confirm
      opened
      title={`Delete the view ${view.name}?`}
      verb="Delete view"
      busy={remove.isPending}
      error={remove.error}
      onClose={onClose}
      onConfirm={() =>
        remove.mutate(view.id, {
          onSuccess: () => {
            notifyDone(`${view.name} is deleted.`);
            onClose();
            onDeleted();
          },
        })
      }
    >
      {view.shared ? "It is shared: it goes for everybody. " : ""}The devices stay as they are.
    </Confirm>
  );
}
