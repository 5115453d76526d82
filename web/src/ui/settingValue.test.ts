import { describe, expect, it } from "vitest";
import type { Field } from "../api/types.ts";
import { valueWords } from "./settingValue.ts";

const field = (part: Partial<Field>): Field => ({
  name: "f",
  kind: "text",
  title: "F",
  description: "",
  min: 0,
  ...part,
});

describe("a value in the words of its form", () => {
  it("says choices by their titles and numbers with their unit", () => {
    expect(valueWords(field({ choices: [{ value: "deny", title: "Refuse" }] }), "deny")).toBe("Refuse");
    expect(valueWords(field({ choices: [] }), "eth0")).toBe("eth0");
    expect(valueWords(field({ kind: "integer", unit: "seconds" }), 300)).toBe("300 seconds");
  });

  it("says entries of lists by the titles of their fields", () => {
    const rules = field({
      kind: "list",
      items: field({ kind: "object", fields: [field({ name: "ports", title: "Ports", kind: "list" })] }),
    });
    expect(valueWords(rules, [{ ports: ["22", "80"] }])).toBe("(Ports: 22, 80)");
    expect(valueWords(rules, [])).toBe("none");
  });

  it("never says a secret", () => {
    expect(valueWords(field({ kind: "secret" }), "hunter2")).toBe("secret");
    expect(valueWords(field({ kind: "secret" }), { secret: true })).toBe("secret");
  });
});
