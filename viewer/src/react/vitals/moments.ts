/** Moments that were kept: as files, and taken apart again, as they may come from another device. */
import { isFields } from "../../session/fields.ts";
import type { Moment } from "../../session/vitalhistory.ts";

/** A moment with the device it is of. */
export interface KeptMoment extends Moment {
  readonly device: string;
}

/** The most bytes and figures of a file that is taken. */
const mostBytes = 1 << 20;
const mostFigures = 2000;

/** Returns the text of a file that holds a moment. */
export function written(m: KeptMoment): string {
  return JSON.stringify(
    {
      kind: "handrail.vitals",
      device: m.device,
      time: new Date(m.timeMs).toISOString(),
      figures: Object.fromEntries(m.figures),
    },
    null,
    2,
  );
}

/** Returns the moment in a file's text, or says what is wrong with it. */
export function readMoment(text: string): KeptMoment | string {
  if (text.length > mostBytes) return "The file is larger than a snapshot can be.";
  let x: unknown;
  try {
    x = JSON.parse(text);
  } catch {
    return "The file is not a snapshot: it does not hold JSON.";
  }
  if (!isFields(x) || x.kind !== "handrail.vitals" || !isFields(x.figures)) {
    return "The file is not a snapshot of live figures.";
  }
  const timeMs = typeof x.time === "string" ? Date.parse(x.time) : Number.NaN;
  if (Number.isNaN(timeMs)) return "The snapshot does not say when it was taken.";
  const figures = new Map<string, number>();
  for (const [name, value] of Object.entries(x.figures).slice(0, mostFigures)) {
    if (typeof value === "number" && Number.isFinite(value)) figures.set(name.slice(0, 300), value);
  }
  return {
    device: typeof x.device === "string" ? x.device.slice(0, 200) : "another device",
    timeMs,
    figures,
  };
}
