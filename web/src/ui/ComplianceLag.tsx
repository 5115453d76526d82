import { Text } from "@mantine/core";
import type { Compliance } from "../api/types.ts";
import { clockWords, countWords, durationWords } from "./words.ts";

/** A change is worked out within moments; what is younger than this is not worth a word. */
const soonSeconds = 5;

/**
 * What numbers of compliance do not know of yet: how many devices have changed since, for how long
 * the oldest waits, and of when the numbers are. Nothing when they are up to date, or of the past.
 */
export function ComplianceLag({ of }: { of: Compliance }) {
  const waiting = of.waiting;
  if (!waiting || waiting.behind_seconds < soonSeconds) return null;
  return (
    <Text size="sm" c="dimmed" mt="xs" role="status">
      Being worked out: {countWords(waiting.devices, "device")}, oldest change{" "}
      {durationWords(waiting.behind_seconds * 1000)} ago. Numbers as of {clockWords(new Date(of.counted_at))}.
    </Text>
  );
}
