import { Alert, Button, Group, Stack, Text } from "@mantine/core";
import type { NewToken } from "../../api/types.ts";
import { CopyText } from "../../ui/CopyText.tsx";
import { WarningIcon } from "../../ui/icons.tsx";

/** A new token, this once, with the command to run. */
export function TokenShown({ made, onClose }: { made: NewToken; onClose: () => void }) {
  return (
    <Stack gap="md">
      <Alert color="yellow" icon={<WarningIcon />} variant="light">
        Copy it now. The token is shown this once; only its hash is kept.
      </Alert>
      <div>
        <Text fw={550} mb={4}>
          Run this on the machine, as root
        </Text>
        <CopyText value={made.command} label="Copy the command" wrap />
      </div>
      <div>
        <Text fw={550} mb={4}>
          Or the token alone
        </Text>
        <CopyText value={made.token} label="Copy the token" wrap />
      </div>
      <Text c="dimmed">The machine makes its own key and appears under Devices within seconds.</Text>
      <Group justify="flex-end">
        <Button onClick={onClose}>Done</Button>
      </Group>
    </Stack>
  );
}
