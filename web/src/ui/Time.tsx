import { Tooltip } from "@mantine/core";
import { useNow } from "./clock.ts";
import { agoWords, exactWords } from "./words.ts";

/** A moment, in words relative to now; the exact one on hover and for screen readers. */
export function Time({ at, never = "never" }: { at: string | Date | undefined | null; never?: string }) {
  const now = useNow();
  if (!at) return <span className="quiet">{never}</span>;
  const date = at instanceof Date ? at : new Date(at);
  if (Number.isNaN(date.getTime())) return <span className="quiet">{never}</span>;
  return (
    <Tooltip label={exactWords(date)}>
      <time dateTime={date.toISOString()} style={{ whiteSpace: "nowrap" }}>
        {agoWords(date, now)}
      </time>
    </Tooltip>
  );
}
