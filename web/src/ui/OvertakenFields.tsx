import { List, Text } from "@mantine/core";
import { useState } from "react";
import { Overtaken, type OvertakenProps } from "./Overtaken.tsx";

/** The fields in which a thing differs from what it was, with what they are now. */
function changesOf<T extends object>(was: T, now: T) {
  const fields = Object.keys({ ...was, ...now }) as (keyof T & string)[];
  return fields
    .filter((f) => JSON.stringify(was[f] ?? null) !== JSON.stringify(now[f] ?? null))
    .map((f) => [f, now[f]] as const);
}

/**
 * What an edit began from, while others may change the same. `now` is the thing's editable fields as
 * the gateway has them at this moment, at a revision; `mine` is what the form holds.
 */
export function useSeen<T extends object>(now: T, revision: number, mine: T) {
  const [from, setFrom] = useState({ fields: now, revision });
  // What came to the same as is in the form, or touches none of its fields, takes nothing from anybody.
  const overtaken = changesOf(from.fields, now).length > 0 && changesOf(now, mine).length > 0;
  return {
    from: from.fields,
    overtaken,
    /** For If-Match. */
    revision: overtaken ? from.revision : revision,
    /** Goes on from what there is now, or from what was saved just now. */
    see: (saved?: { fields: T; revision: number }) => setFrom(saved ?? { fields: now, revision }),
  };
}

interface OvertakenFieldsProps<T extends object> extends Pick<OvertakenProps, "of"> {
  /** As it was when the edit began, as somebody else saved it since, and as it is in the form. */
  from: T;
  theirs: T;
  mine: T;
  /** What people call the fields, and how what is no plain word reads. */
  words: Partial<Record<keyof T, string>>;
  show?: { [F in keyof T]?: (value: T[F]) => string };
  /** Goes on with these in the form; nothing is saved by it. */
  onGoOn: (fields: T) => void;
}

/** Somebody else saved other values of the fields that are edited here. */
export function OvertakenFields<T extends object>(props: OvertakenFieldsProps<T>) {
  const { of, from, theirs, mine, words, show, onGoOn } = props;
  const changed = changesOf(from, mine);
  return (
    <Overtaken
      of={of}
      theirs={<Changes of={changesOf(from, theirs)} {...{ words, show }} />}
      mine={<Changes of={changed} {...{ words, show }} />}
      words="What you changed stays as you have it here; everything else becomes theirs. Nothing is saved yet."
      verb="Go on with both"
      onGoOn={() => onGoOn({ ...theirs, ...Object.fromEntries(changed) })}
      onTakeTheirs={() => onGoOn(theirs)}
    />
  );
}

interface ChangesProps<T extends object> extends Pick<OvertakenFieldsProps<T>, "words"> {
  of: ReturnType<typeof changesOf<T>>;
  show: OvertakenFieldsProps<T>["show"];
}

function Changes<T extends object>({ of, words, show }: ChangesProps<T>) {
  if (of.length === 0) return <Text c="dimmed">Nothing.</Text>;
  return (
    <List size="sm">
      {of.map(([field, value]) => {
        const text = show?.[field]?.(value) ?? plain(value);
        return (
          <List.Item key={field} className="wrap-anywhere">
            {words[field] ?? field}
            {text === undefined ? "" : `: ${text}`}
          </List.Item>
        );
      })}
    </List>
  );
}

/** A value that is a word or a number, as people read it. */
function plain(value: unknown): string | undefined {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  return String(value) === "" ? "(empty)" : String(value).slice(0, 300);
}
