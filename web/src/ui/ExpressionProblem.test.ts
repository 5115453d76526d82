import { expect, it } from "vitest";
import { ApiError } from "../api/client.ts";
import { faultIn, suggestion } from "./ExpressionProblem.tsx";

it.each([
  {
    text: 'inventory.encryptionn.volumes.exists(v, v.mount == "/")',
    fault: {
      line: 1,
      column: 10,
      message: 'inventory has no section "encryptionn"; did you mean "encryption"?',
    },
    want: 'inventory.encryption.volumes.exists(v, v.mount == "/")',
  },
  {
    // The second one, on its own line; what stands before the place is left alone.
    text: 'label("disk") &&\n  inventory.disk.size() > 1',
    fault: { line: 2, column: 12, message: 'inventory has no section "disk"; did you mean "disks"?' },
    want: 'label("disk") &&\n  inventory.disks.size() > 1',
  },
  { text: "inventory.", fault: { line: 1, column: 11, message: "mismatched input" }, want: undefined },
  {
    text: "other",
    fault: { line: 1, column: 1, message: 'no field "volume"; did you mean "volumes"?' },
    want: undefined,
  },
  {
    text: "short",
    fault: { line: 9, column: 9, message: '"a"; did you mean "b"?' },
    want: undefined,
  },
])("puts $fault.message right", ({ text, fault, want }) => {
  expect(suggestion(text, fault)?.expression).toBe(want);
});

it("finds the place that the gateway names in a form", () => {
  const error = new ApiError({
    status: 422,
    message: "",
    fields: [
      { field: "title", message: "Is empty." },
      { field: "expression[2:29]", message: "The end is not expected here." },
    ],
  });
  expect(faultIn(error, "expression")).toEqual({
    line: 2,
    column: 29,
    message: "The end is not expected here.",
  });
  expect(faultIn(error, "applies")).toBeUndefined();
  expect(faultIn(new Error("else"), "expression")).toBeUndefined();
});
