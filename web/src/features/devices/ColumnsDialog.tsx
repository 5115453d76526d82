import { Button, Group, Modal, Stack, Text, Title } from "@mantine/core";
import { useEffect, useRef, useState } from "react";
import { IconButton } from "../../ui/IconButton.tsx";
import { CloseIcon, DownIcon, EnrollIcon, UpIcon } from "../../ui/icons.tsx";
import { ErrorPanel } from "../../ui/states.tsx";
import { columnsOf, type DeviceColumn, usualColumns } from "./deviceColumns.tsx";

interface ColumnsDialogProps {
  all: readonly DeviceColumn[];
  chosen: readonly DeviceColumn[];
  /** Where the choice is kept, as a sentence. */
  kept: string;
  busy: boolean;
  error: unknown;
  onSave: (keys: string[]) => void;
  onClose: () => void;
}

/** Which columns the list of devices shows, and in which order. */
export function ColumnsDialog({ all, chosen, kept, busy, error, onSave, onClose }: ColumnsDialogProps) {
  const [keys, setKeys] = useState(() => chosen.map((c) => c.key));
  const [said, setSaid] = useState("");
  const list = useRef<HTMLOListElement>(null);
  const focus = useRef("");
  const shown = columnsOf(keys, all).filter((c) => keys.includes(c.key));
  const others = all.filter((c) => !keys.includes(c.key));
  // A moved row takes its buttons along; the one that was pressed keeps the focus.
  // biome-ignore lint/correctness/useExhaustiveDependencies: after each change of the order
  useEffect(() => {
    const [key, ...names] = focus.current.split(" ");
    focus.current = "";
    for (const name of names) {
      const button = list.current?.querySelector<HTMLButtonElement>(`[data-row-of="${key}"] [data-${name}]`);
      if (button && !button.disabled) {
        button.focus();
        return;
      }
    }
  }, [keys]);
  const move = (key: string, by: -1 | 1) => {
    const at = shown.findIndex((c) => c.key === key);
    const next = shown.map((c) => c.key);
    next.splice(at, 1);
    next.splice(at + by, 0, key);
    focus.current = `${key} ${by < 0 ? "up down" : "down up"}`;
    setKeys(next);
    setSaid(`${shown[at]?.header} is now column ${at + by + 1} of ${next.length}.`);
  };
  return (
    <Modal opened onClose={onClose} title={<Text fw={650}>Columns</Text>}>
      <Stack gap="sm">
        <Text c="dimmed" size="sm">
          {kept} The name is always shown.
        </Text>
        <ol className="bare-list" ref={list} aria-label="Shown columns">
          {shown.map((c, i) => (
            <li key={c.key} className="column-row" data-row-of={c.key}>
              <span className="one-line" style={{ flex: 1 }}>
                {c.header}
              </span>
              <IconButton
                data-up
                label={`Move ${c.header} up`}
                disabled={i === 0}
                onClick={() => move(c.key, -1)}
              >
                <UpIcon size={16} />
              </IconButton>
              <IconButton
                data-down
                label={`Move ${c.header} down`}
                disabled={i === shown.length - 1}
                onClick={() => move(c.key, 1)}
              >
                <DownIcon size={16} />
              </IconButton>
              <IconButton
                label={`Leave out ${c.header}`}
                onClick={() => {
                  setKeys(keys.filter((k) => k !== c.key));
                  setSaid(`${c.header} is left out.`);
                }}
              >
                <CloseIcon size={16} />
              </IconButton>
            </li>
          ))}
        </ol>
        {shown.length === 0 && <Text c="dimmed">Only the name is left.</Text>}
        {others.length > 0 && (
          <div>
            <Title order={3} mb={6}>
              Add
            </Title>
            <Group gap={6}>
              {others.map((c) => (
                <Button
                  key={c.key}
                  size="compact-sm"
                  variant="default"
                  leftSection={<EnrollIcon size={13} />}
                  aria-label={`Add ${c.header}`}
                  onClick={() => {
                    setKeys([...shown.map((s) => s.key), c.key]);
                    setSaid(`${c.header} is added as the last column.`);
                  }}
                >
                  {c.header}
                </Button>
              ))}
            </Group>
          </div>
        )}
        <p className="visually-hidden" role="status">
          {said}
        </p>
        {error ? <ErrorPanel error={error} title="The columns were not kept" /> : null}
        <Group justify="space-between" gap="xs">
          <Button variant="subtle" onClick={() => setKeys([...usualColumns])}>
            The usual ones
          </Button>
          <Group gap="xs">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button
              loading={busy}
              disabled={shown.length === 0}
              onClick={() => onSave(shown.map((c) => c.key))}
            >
              Show these
            </Button>
          </Group>
        </Group>
      </Stack>
    </Modal>
  );
}
