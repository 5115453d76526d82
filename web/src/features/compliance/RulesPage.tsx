import { Group, Select, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { complianceRulesQuery } from "../../api/compliance.ts";
import { useMe } from "../../api/me.ts";
import type { ComplianceRule, Severity } from "../../api/types.ts";
import { RuleTally, SeverityMark, severityOrder, severityWords } from "../../ui/complianceWords.tsx";
import { ComplianceIcon, SearchIcon } from "../../ui/icons.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import { Page } from "../../ui/Page.tsx";
import { may } from "../../ui/permissions.ts";
import { Empty, Loaded } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";

interface RulesFilter {
  severity?: Severity | undefined;
  /** Only rules with devices in it; broken is not compliant or in grace. */
  state?: "broken" | "non_compliant" | "in_grace" | "waived" | undefined;
}

const states = [
  { value: "broken", label: "Broken by a device" },
  { value: "non_compliant", label: "Not compliant" },
  { value: "in_grace", label: "In grace" },
  { value: "waived", label: "Waived" },
];

function hasDevices(rule: ComplianceRule, state: RulesFilter["state"]): boolean {
  if (!state) return true;
  if (!rule.enabled) return false;
  if (state === "broken") return rule.counts.non_compliant + rule.counts.in_grace > 0;
  return rule.counts[state] > 0;
}

/** Every rule, those that come with the program and the organisation's own. */
export function RulesPage({
  severity,
  state,
  onFilter,
}: RulesFilter & { onFilter: (filter: RulesFilter) => void }) {
  const me = useMe();
  const query = useQuery(complianceRulesQuery);
  const [text, setText] = useState("");
  return (
    <Page
      title="Rules"
      lead="What devices are checked for. Each names how it is mended, and the frameworks it belongs to."
      above={
        <PageLink to="/compliance" size="sm" c="dimmed">
          ← Compliance
        </PageLink>
      }
      actions={may(me, "compliance.manage") && <ButtonLink to="/compliance/rules/new">New rule</ButtonLink>}
    >
      <Group gap="xs" mb="sm" component="search">
        <TextInput
          type="search"
          aria-label="Search rules"
          placeholder="Search by title, category or framework"
          leftSection={<SearchIcon size={16} />}
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
          style={{ flex: "3 1 16rem" }}
        />
        <Select
          aria-label="Severity"
          placeholder="Any severity"
          clearable
          data={severityOrder.map((s) => ({ value: s, label: severityWords(s) }))}
          value={severity ?? null}
          onChange={(v) => onFilter({ severity: (v ?? undefined) as Severity | undefined, state })}
        />
        <Select
          aria-label="Devices"
          placeholder="Any state"
          clearable
          data={states}
          value={state ?? null}
          onChange={(v) => onFilter({ severity, state: (v ?? undefined) as RulesFilter["state"] })}
        />
      </Group>
      <Loaded query={query}>
        {({ items }) => <Rules rules={items} text={text} severity={severity} state={state} />}
      </Loaded>
    </Page>
  );
}

function Rules({ rules, text, severity, state }: RulesFilter & { rules: ComplianceRule[]; text: string }) {
  const categories = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const out = new Map<string, ComplianceRule[]>();
    for (const r of rules) {
      const all =
        `${r.title} ${r.slug} ${r.category} ${r.frameworks.map((f) => `${f.framework} ${f.id}`).join(" ")}`.toLowerCase();
      if (!words.every((w) => all.includes(w)) || (severity && r.severity !== severity)) continue;
      if (!hasDevices(r, state)) continue;
      out.set(r.category, [...(out.get(r.category) ?? []), r]);
    }
    return out;
  }, [rules, text, severity, state]);
  const shown = [...categories.values()].reduce((n, list) => n + list.length, 0);
  if (shown === 0) {
    return (
      <div className="panel">
        <Empty icon={<ComplianceIcon size={36} />} title="No rule matches" />
      </div>
    );
  }
  return (
    <>
      <Text size="sm" c="dimmed" role="status" mb={6}>
        {countWords(shown, "rule")}
      </Text>
      {[...categories].map(([category, list]) => (
        <section key={category} className="panel panel-pad" style={{ marginBottom: "0.75rem" }}>
          <Text component="h2" fw={650} mb="xs">
            {category || "Other"}
          </Text>
          <ul className="bare-list">
            {list.map((r) => (
              <li key={r.slug} className="tree-row">
                <div style={{ flex: 1, minWidth: 0 }}>
                  <Group gap="sm">
                    <PageLink to="/compliance/rules/$slug" params={{ slug: r.slug }} fw={550}>
                      {r.title}
                    </PageLink>
                    <SeverityMark severity={r.severity} />
                    {!r.shipped && <span className="quiet">your own</span>}
                  </Group>
                  {r.enabled ? (
                    <RuleTally counts={r.counts} rule={r.slug} />
                  ) : (
                    <span className="quiet">Switched off</span>
                  )}
                </div>
              </li>
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}
