import { useState } from "react";
import type { Policy, PolicySetting, SettingDifference } from "../../api/types.ts";
import { asValues } from "../../ui/settingValue.ts";

export const sameJson = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/**
 * A part of a policy that is edited, beside what it was made from: which values, of which revision.
 * What a colleague saves meanwhile is taken over where nothing was changed here, and is never
 * overwritten unseen: a save goes by the revision that the edits were made from.
 */
export function useEdits<T>(policy: Policy, saved: T) {
  const [from, setFrom] = useState({ value: saved, revision: policy.revision, turn: 0 });
  const [value, setValue] = useState(saved);
  const changed = !sameJson(value, from.value);
  const isNews = !sameJson(saved, from.value);
  /** Goes on from what is saved now, with these values in the editor. */
  const adopt = (base: T, revision: number, next = base) => {
    setFrom({ value: base, revision, turn: from.turn + 1 });
    setValue(next);
  };
  if (isNews && !changed) adopt(saved, policy.revision);
  return {
    value,
    setValue,
    changed,
    /** What the edits were made from. */
    base: from.value,
    /** Somebody else saved something else while this was being edited. */
    overtaken: isNews && changed && !sameJson(saved, value),
    /** Of a change elsewhere in the policy nothing here is lost: such a revision is as good. */
    revision: isNews && !sameJson(saved, value) ? from.revision : policy.revision,
    adopt,
    /** Fields keep text of their own: they begin anew with what was taken over. */
    turn: from.turn,
  };
}

/** What was done to settings: which are new, taken out or changed, and in which fields. */
export function editDifferences(
  before: readonly PolicySetting[],
  after: readonly PolicySetting[],
): SettingDifference[] {
  const ids = [...new Set([...before, ...after].map((s) => s.id))];
  return ids.flatMap((id): SettingDifference[] => {
    const was = before.find((s) => s.id === id);
    const is = after.find((s) => s.id === id);
    if (was && is) {
      if (sameJson(was.value, is.value)) return [];
      return [{ id, kind: "changed", fields: fieldDifferences(was.value, is.value) }];
    }
    if (was) return [{ id, kind: "removed", before: was.value }];
    return [{ id, kind: "added", after: is?.value }];
  });
}

function fieldDifferences(was: unknown, is: unknown): NonNullable<SettingDifference["fields"]> {
  const before = asValues(was);
  const after = asValues(is);
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((path) => !sameJson(before[path], after[path]))
    .map((path) => ({
      path,
      ...(path in before ? { before: before[path] } : {}),
      ...(path in after ? { after: after[path] } : {}),
    }));
}

/** Both edits of the same settings together; of a setting that both changed, mine. */
export function mergeEdits(
  base: readonly PolicySetting[],
  mine: readonly PolicySetting[],
  theirs: readonly PolicySetting[],
): PolicySetting[] {
  const touched = new Set(editDifferences(base, mine).map((d) => d.id));
  const kept = theirs.flatMap((s) => (touched.has(s.id) ? mine.filter((m) => m.id === s.id) : [s]));
  const added = mine.filter((m) => touched.has(m.id) && !theirs.some((s) => s.id === m.id));
  return [...kept, ...added];
}
