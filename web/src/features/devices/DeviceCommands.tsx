import { Button, Group, Modal, Text } from "@mantine/core";
import { useState } from "react";
import type { Device } from "../../api/types.ts";
import { CommandForm } from "../../ui/CommandForm.tsx";
import { CommandRows } from "../../ui/CommandRows.tsx";

/** What this device was told to do, and the next thing. */
export function DeviceCommands({ device }: { device: Device }) {
  const [ordering, setOrdering] = useState(false);
  const mayRun = device.may.includes("command.run") && device.state !== "revoked";
  return (
    <>
      {mayRun && (
        <Group justify="flex-end" mb="sm">
          <Button variant="default" onClick={() => setOrdering(true)}>
            Run a command…
          </Button>
        </Group>
      )}
      <CommandRows filter={{ device: device.id }} withDevice={false} />
      <Modal
        opened={ordering}
        onClose={() => setOrdering(false)}
        size="lg"
        title={<Text fw={650}>Run a command on {device.name}</Text>}
      >
        <CommandForm
          target={{ devices: [device.id] }}
          onDone={() => setOrdering(false)}
          onClose={() => setOrdering(false)}
        />
      </Modal>
    </>
  );
}
