import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useBlocker } from "@tanstack/react-router";

/** Asks before somebody leaves what they have not saved, also by another tab of the page. */
export function KeepUnsaved({ when, what }: { when: boolean; what: string }) {
  const { status, proceed, reset } = useBlocker({
    shouldBlockFn: () => when,
    enableBeforeUnload: () => when,
    withResolver: true,
  });
  return (
    <Modal
      opened={status === "blocked"}
      onClose={() => reset?.()}
      title={<Text fw={650}>Leave without saving?</Text>}
    >
      <Stack gap="md">
        <Text>Your changes to {what} are not saved.</Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={() => reset?.()} data-autofocus>
            Stay
          </Button>
          <Button color="red.8" onClick={() => proceed?.()}>
            Leave and lose them
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}
