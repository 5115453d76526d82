import { Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { deviceSoftwareQuery } from "../../api/devices.ts";
import type { Device, InventorySections } from "../../api/types.ts";
import { SearchIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { asValues, summary } from "../../ui/settingValue.ts";
import { ErrorPanel, SkeletonRows } from "../../ui/states.tsx";
import { countWords, sizeWords } from "../../ui/words.ts";
import { sectionWords } from "./sectionWords.ts";

/** Shown by panels of their own. */
const elsewhere = new Set([
  "host",
  "hardware",
  "disks",
  "filesystems",
  "monitors",
  "users",
  "network",
  "agent",
  "software",
]);

/** Columns of lists whose entries have more than fits; of the others all are shown. */
const columns: Readonly<Record<string, readonly string[]>> = {
  services: ["name", "state", "enabled", "description"],
  certificates: ["subject", "issuer", "not_after_us", "path"],
  listening: ["proto", "address", "port", "process", "user"],
  pci: ["vendor", "device", "class", "driver"],
  usb: ["vendor", "product", "class", "serial"],
  volumes: ["mount", "device", "encrypted", "method"],
  users: ["name", "uid", "full_name", "password", "admin", "shell"],
};

/** Every further section the device reported, folded, as tables and pairs. */
export function InventoryMore({ sections }: { sections: InventorySections }) {
  const all = asValues(sections);
  const names = Object.keys(sectionWords).filter(
    (n) => !elsewhere.has(n) && all[n] !== undefined && all[n] !== null,
  );
  return (
    <>
      {names.map((name) => (
        <details key={name} className="panel panel-pad" style={{ marginTop: "0.75rem" }}>
          <summary>
            <Text component="span" fw={650}>
              {sectionWords[name]}
              {Array.isArray(all[name]) && ` · ${(all[name] as unknown[]).length}`}
            </Text>
          </summary>
          <SectionValue name={name} value={all[name]} />
        </details>
      ))}
    </>
  );
}

function SectionValue({ name, value }: { name: string; value: unknown }) {
  if (Array.isArray(value)) return <Entries name={name} list={value} />;
  const pairs = Object.entries(asValues(value));
  const plain = pairs.filter(([, v]) => !isTable(v));
  return (
    <>
      <dl className="facts" style={{ marginTop: "0.5rem" }}>
        {plain.map(([k, v]) => (
          <div key={k} style={{ display: "contents" }}>
            <dt>{words(k)}</dt>
            <dd className="wrap-anywhere">{cell(k, v)}</dd>
          </div>
        ))}
      </dl>
      {pairs
        .filter(([, v]) => isTable(v))
        .map(([k, v]) => (
          <section key={k} aria-label={words(k)}>
            <Text fw={550} mt="sm">
              {words(k)}
            </Text>
            <Entries name={k} list={v as unknown[]} />
          </section>
        ))}
    </>
  );
}

const isTable = (v: unknown) => Array.isArray(v) && v.length > 0 && typeof v[0] === "object";

function Entries({ name, list }: { name: string; list: readonly unknown[] }) {
  const [all, setAll] = useState(false);
  if (list.length === 0) return <Text c="dimmed">None.</Text>;
  if (typeof list[0] !== "object")
    return <Text className="wrap-anywhere">{list.map(String).join(", ")}</Text>;
  const keys = columns[name] ?? Object.keys(asValues(list[0])).slice(0, 6);
  const shown = all ? list : list.slice(0, 50);
  return (
    <div style={{ overflowX: "auto" }}>
      <table className="numbers" aria-label={sectionWords[name] ?? words(name)}>
        <thead>
          <tr>
            {keys.map((k) => (
              <th key={k} scope="col" data-text>
                {words(k)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {shown.map((e, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: entries have no identity of their own
            <tr key={i}>
              {keys.map((k) => (
                <td key={k} data-text className="wrap-anywhere">
                  {cell(k, asValues(e)[k])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {!all && list.length > shown.length && (
        <button type="button" className="text-button" onClick={() => setAll(true)}>
          Show all {list.length.toLocaleString("en")}
        </button>
      )}
    </div>
  );
}

/** "not_after_us" is "not after", "bytes" and the like are said by the value. */
function words(key: string): string {
  return key.replace(/_(us|bytes)$/, "").replaceAll("_", " ");
}

function cell(key: string, value: unknown): string {
  if (value === "" || value === undefined || value === null) return "—";
  if (key.endsWith("_us") && typeof value === "number") {
    return value > 0 ? new Date(value / 1000).toLocaleString() : "—";
  }
  if (key.endsWith("_bytes") && typeof value === "number") return sizeWords(value);
  if (typeof value === "boolean") return value ? "yes" : "no";
  return summary(value);
}

/** What is installed; a name leads to every device that has it. */
export function Software({ device }: { device: Device }) {
  const [q, setQ] = useState("");
  const query = useQuery(deviceSoftwareQuery(device.id, q.trim() || undefined));
  const items = query.data?.items ?? [];
  return (
    <section
      className="panel panel-pad"
      style={{ marginTop: "0.75rem" }}
      aria-labelledby="inventory-software"
    >
      <Text component="h2" id="inventory-software" fw={650} mb="xs">
        Software{query.data && ` · ${query.data.total.toLocaleString("en")}`}
      </Text>
      <TextInput
        type="search"
        aria-label="Search software"
        placeholder="Part of a name"
        leftSection={<SearchIcon size={16} />}
        value={q}
        onChange={(e) => setQ(e.currentTarget.value)}
        maw={360}
        mb="xs"
      />
      {query.isPending ? (
        <SkeletonRows rows={3} />
      ) : query.isError && !query.data ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : items.length === 0 ? (
        <Text c="dimmed">{q ? "Nothing installed has such a name." : "Nothing reported."}</Text>
      ) : (
        <div className="output" style={{ fontFamily: "inherit" }}>
          <table className="numbers" aria-label="Software">
            <thead>
              <tr>
                {["Name", "Version", "From", "For"].map((h) => (
                  <th key={h} scope="col" data-text>
                    {h}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {items.slice(0, 500).map((s) => (
                <tr key={`${s.source} ${s.name} ${s.version} ${s.arch ?? ""} ${s.scope ?? ""}`}>
                  <td data-text>
                    <PageLink to="/devices" search={{ software: s.name }}>
                      {s.name}
                    </PageLink>
                  </td>
                  <td data-text>{s.version}</td>
                  <td data-text>{s.source}</td>
                  <td data-text>{s.scope || "everybody"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {items.length > 500 && (
        <Text size="sm" c="dimmed">
          The first 500 of {countWords(items.length, "entry", "entries")}; search for others.
        </Text>
      )}
    </section>
  );
}
