import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { catalogueQuery } from "../../api/policies.ts";
import type { CatalogueEntry, SettingDifference } from "../../api/policyTypes.ts";
import { asValues, summary } from "../../ui/settingValue.ts";

/** The title of a setting: that of the catalogue, and the name of one of several. */
export function settingTitle(entries: readonly CatalogueEntry[], id: string): string {
  const [key = id, name = ""] = [id.split("/")[0], id.includes("/") ? id.slice(id.indexOf("/") + 1) : ""];
  const title = entries.find((e) => e.key === key)?.title ?? key;
  return name ? `${title}: ${name}` : title;
}

/** What differs, setting by setting and field by field. */
export function Differences({ items }: { items: readonly SettingDifference[] }) {
  const entries = useQuery(catalogueQuery).data?.entries ?? [];
  if (items.length === 0) return <Text c="dimmed">Nothing differs.</Text>;
  return (
    <ul className="diff">
      {items.map((d) => (
        <li key={d.id}>
          <Text fw={550}>
            {settingTitle(entries, d.id)}{" "}
            <Text component="span" size="sm" c="dimmed">
              {d.change}
            </Text>
          </Text>
          <dl className="diff-fields">
            {fieldDifferences(d).map(([name, from, to]) => (
              <div key={name}>
                <dt>{fieldTitle(entries, d.id, name)}</dt>
                <dd>
                  {from !== undefined && <del>{summary(from)}</del>}
                  {from !== undefined && to !== undefined && <span aria-hidden="true"> → </span>}
                  {to !== undefined && <ins>{summary(to)}</ins>}
                </dd>
              </div>
            ))}
          </dl>
        </li>
      ))}
    </ul>
  );
}

function fieldTitle(entries: readonly CatalogueEntry[], id: string, name: string): string {
  const key = id.split("/")[0];
  return entries.find((e) => e.key === key)?.fields.find((f) => f.name === name)?.title ?? name;
}

/** The fields that differ: name, value before, value after. */
function fieldDifferences(d: SettingDifference): [string, unknown, unknown][] {
  const from = asValues(d.from);
  const to = asValues(d.to);
  return [...new Set([...Object.keys(from), ...Object.keys(to)])]
    .filter((name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]))
    .map((name) => [name, from[name], to[name]]);
}
