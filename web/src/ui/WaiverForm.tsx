import { Button, Group, Stack, Textarea, TextInput } from "@mantine/core";
import { useState } from "react";
import { useWaive } from "../api/compliance.ts";
import { useMe } from "../api/me.ts";
import { notifyDone } from "./notify.ts";
import { ErrorPanel } from "./states.tsx";
import { dayOf } from "./words.ts";

interface WaiverFormProps {
  rule: string;
  /** For one device, or for a group and those below it. */
  device?: string;
  group?: string;
  onClose: () => void;
}

const dayMs = 86_400_000;

/** Excuses a device or a group from a rule, for a time and with somebody who answers for it. */
export function WaiverForm({ rule, device, group, onClose }: WaiverFormProps) {
  const me = useMe();
  const waive = useWaive();
  const [owner, setOwner] = useState(me.name);
  const [reason, setReason] = useState("");
  const [until, setUntil] = useState(dayOf(Date.now() + 90 * dayMs));
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        waive.mutate(
          {
            rule,
            owner,
            reason,
            expires_at: new Date(`${until}T23:59:59`).toISOString(),
            ...(device ? { device_id: device } : {}),
            ...(group ? { group_id: group } : {}),
          },
          {
            onSuccess: () => {
              notifyDone("The waiver holds from now on.");
              onClose();
            },
          },
        );
      }}
    >
      <Stack>
        <Textarea
          label="Reason"
          description="Why it is acceptable. An auditor reads this."
          required
          autosize
          minRows={2}
          maxLength={1000}
          value={reason}
          onChange={(e) => setReason(e.currentTarget.value)}
          data-autofocus
        />
        <TextInput
          label="Who answers for it"
          required
          maxLength={128}
          value={owner}
          onChange={(e) => setOwner(e.currentTarget.value)}
        />
        <TextInput
          type="date"
          label="Until"
          description="Within two years. Then the rule counts again."
          required
          min={dayOf(Date.now() + dayMs)}
          max={dayOf(Date.now() + 729 * dayMs)}
          value={until}
          onChange={(e) => setUntil(e.currentTarget.value)}
        />
        {waive.error && <ErrorPanel error={waive.error} title="The waiver was not made" />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" loading={waive.isPending}>
            Waive
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
