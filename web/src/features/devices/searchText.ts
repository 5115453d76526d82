import type { DeviceFilter } from "../../api/devices.ts";

/** A value as one word of a search. */
function word(value: string): string {
  const clean = value.replaceAll('"', " ").trim();
  return /[\s<>=:]/.test(clean) ? `"${clean}"` : clean;
}

/** A whole filter as one search of words: what a saved view keeps, and the command line takes. */
export function searchText(filter: DeviceFilter): string {
  const terms: string[] = [];
  const add = (field: string, value: string | undefined, state?: string) => {
    if (value) terms.push(`${field}:${word(state ? `${value}/${state}` : value)}`);
  };
  if (filter.q?.trim()) terms.push(filter.q.trim());
  add("state", filter.state);
  add("group", filter.group);
  if (filter.os) terms.push(`os=${word(filter.os)}`);
  add("label", filter.label);
  add("policy", filter.policy, filter.policy_state);
  add("setting", filter.setting, filter.setting_state);
  add("rule", filter.rule, filter.rule_state);
  add("compliance", filter.compliance);
  add("software_id", filter.software_id);
  add("encrypted", filter.encrypted);
  if (filter.software) {
    const version = filter.software_version?.trim() ?? "";
    const [, op = "=", number = ""] = /^(<=|>=|<|>|=)?\s*(.*)$/.exec(version) ?? [];
    terms.push(`software:${word(filter.software)}${number ? ` ${op || "="} ${word(number)}` : ""}`);
  }
  return terms.join(" ");
}
