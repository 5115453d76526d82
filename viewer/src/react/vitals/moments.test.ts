import { expect, test } from "vitest";
import { type KeptMoment, readMoment, written } from "./moments.ts";

const moment: KeptMoment = {
  device: "desk",
  timeMs: Date.UTC(2026, 10, 24),
  figures: new Map([
    ["cpu", 12.5],
    ["fill /var", 97],
  ]),
};

test("a moment survives its file", () => {
  expect(readMoment(written(moment))).toEqual(moment);
});

test("what is no snapshot is said", () => {
  expect(readMoment("{")).toContain("JSON");
  expect(readMoment("[]")).toContain("not a snapshot");
  expect(readMoment('{"kind":"handrail.vitals","figures":{}}')).toContain("when it was taken");
  expect(readMoment(" ".repeat(2 << 20))).toContain("larger");
  const strange = readMoment(
    '{"kind":"handrail.vitals","time":"2026-11-24T00:00:00Z","figures":{"cpu":"high","load 1":2}}',
  );
  expect(strange).toMatchObject({ figures: new Map([["load 1", 2]]) });
});
