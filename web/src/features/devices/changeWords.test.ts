import { describe, expect, it } from "vitest";
import { changeLine } from "./changeWords.ts";

describe("a change in words", () => {
  it("says software by name and version", () => {
    expect(
      changeLine("software", { path: ["curl deb amd64", "version"], from: "7.88.1-1", to: "7.88.1-2" }),
    ).toEqual({ subject: "curl", before: "7.88.1-1", after: "7.88.1-2" });
    expect(
      changeLine("software", {
        path: ["org.gimp.GIMP flatpak x86_64"],
        to: { name: "org.gimp.GIMP", version: "3.0.4" },
      }),
    ).toEqual({ subject: "org.gimp.GIMP (flatpak)", before: undefined, after: "3.0.4" });
  });

  it("says what was pending", () => {
    const from = { candidate: "5.2.16", installed: "5.2.15", name: "bash", security: true };
    expect(changeLine("updates", { path: ["pending", "bash"], from })).toEqual({
      subject: "bash",
      before: "5.2.16 pending, for security",
      after: undefined,
    });
  });

  it("says sizes and moments as people read them", () => {
    expect(
      changeLine("hardware", { path: ["memory_bytes"], from: 8589934592, to: 17179869184 }),
    ).toMatchObject({
      subject: "memory",
      before: "8.0 GiB",
      after: "16.0 GiB",
    });
    expect(changeLine("updates", { path: ["package_lists_at_us"], to: 1794704400000000 }).after).toContain(
      "2026",
    );
  });

  it("falls back on the path and the value", () => {
    expect(changeLine("sshd", { path: ["permit_root_login"], from: "yes", to: "no" })).toEqual({
      subject: "permit root login",
      before: "yes",
      after: "no",
    });
  });
});
