import { Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { catalogueQuery } from "../../api/policies.ts";
import type { CatalogueEntry, Field, SettingDifference } from "../../api/types.ts";
import { asValues, valueWords } from "../../ui/settingValue.ts";

/** The title of a setting: that of the catalogue, and the name of one of several. */
export function settingTitle(entries: readonly CatalogueEntry[], id: string): string {
  const [key = id, name = ""] = [id.split("/")[0], id.includes("/") ? id.slice(id.indexOf("/") + 1) : ""];
  const title = entries.find((e) => e.key === key)?.title ?? key;
  return name ? `${title}: ${name}` : title;
}

/** What differs, setting by setting and field by field. */
export function Differences({ items }: { items: readonly SettingDifference[] }) {
  const entries = useQuery(catalogueQuery).data?.items ?? [];
  if (items.length === 0) return <Text c="dimmed">Nothing differs.</Text>;
  return (
    <ul className="diff">
      {items.map((d) => (
        <li key={d.id}>
          <Text fw={550}>
            {settingTitle(entries, d.id)}{" "}
            <Text component="span" size="sm" c="dimmed">
              {changeWords(d.kind)}
            </Text>
          </Text>
          <Fields entries={entries} difference={d} />
          {d.conflict && <Text c="var(--handrail-bad)">{d.conflict}</Text>}
        </li>
      ))}
    </ul>
  );
}

function Fields({
  entries,
  difference: d,
}: {
  entries: readonly CatalogueEntry[];
  difference: SettingDifference;
}) {
  const changes = fieldChanges(d);
  if (changes.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        With the defaults of its fields.
      </Text>
    );
  }
  return (
    <dl className="diff-fields">
      {changes.map((f) => {
        const { title, field } = fieldAt(entries, d.id, f.path);
        return (
          <div key={f.path}>
            <dt>{title}</dt>
            <dd>
              {f.secret ? (
                <ins>another secret</ins>
              ) : (
                <>
                  {f.before !== undefined && <del>{valueWords(field, f.before)}</del>}
                  {f.before !== undefined && f.after !== undefined && <span aria-hidden="true"> → </span>}
                  {f.after !== undefined && <ins>{valueWords(field, f.after)}</ins>}
                </>
              )}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

/**
 * A path within a setting by the titles of the catalogue: "peers[0].endpoint" is
 * "Peers 1: Endpoint", and the field it leads to.
 */
function fieldAt(entries: readonly CatalogueEntry[], id: string, path: string) {
  let fields: readonly Field[] = entries.find((e) => e.key === id.split("/")[0])?.fields ?? [];
  let field: Field | undefined;
  const words: string[] = [];
  for (const step of path.split(".")) {
    const [, name = step, place] = /^([^[]*)(?:\[(\d+)\])?$/.exec(step) ?? [];
    const list = fields.find((f) => f.name === name);
    words.push(`${list?.title ?? name}${place === undefined ? "" : ` ${Number(place) + 1}`}`);
    field = place === undefined ? list : list?.items;
    fields = field?.fields ?? [];
  }
  return { title: words.join(": "), field };
}

const kinds: Record<string, string> = {
  added: "new",
  removed: "taken out",
  changed: "changed",
  conflicted: "in conflict",
};

export function changeWords(kind: string): string {
  return kinds[kind] ?? kind;
}

/** Field by field; of what is new or taken out, all of it. */
function fieldChanges(d: SettingDifference): NonNullable<SettingDifference["fields"]> {
  if (d.fields && d.fields.length > 0) return d.fields;
  const before = asValues(d.before);
  const after = asValues(d.after);
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].map((path) => ({
    path,
    ...(path in before ? { before: before[path] } : {}),
    ...(path in after ? { after: after[path] } : {}),
  }));
}
