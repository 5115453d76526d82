import { describe, expect, test } from "vitest";
import { mostPasted, pageAddress, pasteOf } from "./paste.ts";

describe("what is pasted", () => {
  test("one plain line goes through", () => {
    expect(pasteOf("ls -l /tmp")).toEqual({ text: "ls -l /tmp", lines: 1, removed: 0, ask: false });
  });
  test("lines are looked at, also a single one that would run at once", () => {
    expect(pasteOf("a\r\nb\rc\n")).toEqual({ text: "a\nb\nc\n", lines: 3, removed: 0, ask: true });
    expect(pasteOf("rm -rf x\n")).toMatchObject({ lines: 1, ask: true });
  });
  test("characters that steer the terminal, or turn text around, are left out", () => {
    expect(pasteOf("a\u001b[201~b\u0003\u202ec\u009b")).toEqual({
      text: "a[201~bc",
      lines: 1,
      removed: 4,
      ask: true,
    });
  });
  test("a long line is looked at; too much is refused", () => {
    expect(pasteOf("x".repeat(5000))?.ask).toBe(true);
    expect(pasteOf("x".repeat(mostPasted + 1))).toBeNull();
  });
});

test("only addresses of pages are opened", () => {
  expect(pageAddress("https://example.org/a b")).toBe("https://example.org/a%20b");
  for (const bad of ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "no address"]) {
    expect(pageAddress(bad)).toBeNull();
  }
});
