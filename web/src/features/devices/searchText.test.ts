import { describe, expect, it } from "vitest";
import type { DeviceFilter } from "../../api/devices.ts";
import { searchText } from "./searchText.ts";

describe("a filter as one search", () => {
  it.each<[DeviceFilter, string]>([
    [{}, ""],
    [{ sort: "last_seen" }, ""],
    [{ q: " latitude ann " }, "latitude ann"],
    [{ q: "ann", state: "online", os: "linux" }, "ann state:online os=linux"],
    [{ group: "grp_1", label: "Front desk" }, 'group:grp_1 label:"Front desk"'],
    [{ policy: "pol_1", policy_state: "failed" }, "policy:pol_1/failed"],
    [{ rule: "ssh-no-root", rule_state: "in_grace" }, "rule:ssh-no-root/in_grace"],
    [{ setting: "ssh.server" }, "setting:ssh.server"],
    [{ compliance: "non_compliant", encrypted: "no" }, "compliance:non_compliant encrypted:no"],
    [{ software: "openssl", software_version: "<3.0.15" }, "software:openssl < 3.0.15"],
    [{ software: "openssl", software_version: "1:2.3" }, 'software:openssl = "1:2.3"'],
    [{ software_id: "12/34" }, "software_id:12/34"],
    [{ label: 'a"b' }, 'label:"a b"'],
  ])("%j", (filter, text) => {
    expect(searchText(filter)).toBe(text);
  });
});
