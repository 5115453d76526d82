import { Alert, Button, Group, Text } from "@mantine/core";
import type { ReactNode } from "react";

export interface OvertakenProps {
  /** What is being edited. */
  of: "policy" | "rule" | "group" | "label" | "operator" | "list of fields" | "record";
  /** What a colleague saved, and what is changed here. */
  theirs: ReactNode;
  mine: ReactNode;
  /** What becomes of both with the first button. */
  words: string;
  verb: string;
  onGoOn: () => void;
  onTakeTheirs: () => void;
}

/** Somebody else saved while one was editing: both changes, and the ways on. */
export function Overtaken({ of, theirs, mine, words, verb, onGoOn, onTakeTheirs }: OvertakenProps) {
  return (
    <Alert
      color="yellow"
      className="overtaken"
      title={`Somebody else has changed this ${of} meanwhile`}
      role="alert"
    >
      <div className="two-sides">
        <section aria-label="What they changed">
          <Text fw={600}>They changed</Text>
          {theirs}
        </section>
        <section aria-label="What you changed">
          <Text fw={600}>You changed, not saved yet</Text>
          {mine}
        </section>
      </div>
      <Text mt="xs">{words}</Text>
      <Group gap="xs" mt="xs">
        <Button size="xs" onClick={onGoOn}>
          {verb}
        </Button>
        <Button size="xs" variant="default" onClick={onTakeTheirs}>
          Drop mine, go on with theirs
        </Button>
      </Group>
    </Alert>
  );
}
