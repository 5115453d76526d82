import { Modal, Text } from "@mantine/core";
import { useNavigate } from "@tanstack/react-router";
import type { CommandTarget } from "../api/types.ts";
import { CommandForm } from "./CommandForm.tsx";

interface CommandDialogProps {
  /** Whom it is for, in words and for the gateway; null: closed. */
  order: { words: string; target: CommandTarget } | null;
  onClose: () => void;
}

/** Tells the devices of a group or label to do something, and goes on to how far it has come. */
export function CommandDialog({ order, onClose }: CommandDialogProps) {
  const navigate = useNavigate();
  return (
    <Modal
      opened={order !== null}
      onClose={onClose}
      size="lg"
      title={<Text fw={650}>Run a command on {order?.words}</Text>}
    >
      {order && (
        <CommandForm
          target={order.target}
          onClose={onClose}
          onDone={(made) => void navigate({ to: "/commands/$bulkId", params: { bulkId: made.bulk_id } })}
        />
      )}
    </Modal>
  );
}
