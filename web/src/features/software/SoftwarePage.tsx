import { Group, Select } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { type SoftwareFilter, softwareQuery } from "../../api/software.ts";
import type { SoftwareName } from "../../api/types.ts";
import { SoftwareIcon } from "../../ui/icons.tsx";
import { foundWords, ListPage } from "../../ui/ListPage.tsx";
import { ButtonLink, PageLink, RowLink } from "../../ui/links.tsx";
import type { Column } from "../../ui/RowTable.tsx";
import { Search } from "../../ui/Search.tsx";
import { Empty, NoMatch } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { sources, sourceWords } from "./sourceWords.ts";

interface SoftwarePageProps {
  filter: SoftwareFilter;
  onFilter: (filter: SoftwareFilter) => void;
}

/** What is installed on all devices together, and on how many. */
export function SoftwarePage({ filter, onFilter }: SoftwarePageProps) {
  const query = useInfiniteQuery(softwareQuery(filter));
  const rows = query.data?.pages.flatMap((p) => p.items) ?? [];
  const set = (part: SoftwareFilter) => onFilter({ ...filter, ...part });
  const filtered = filter.q !== undefined || filter.source !== undefined;
  return (
    <ListPage
      title="Software"
      lead="What is installed on the devices you may see. Every number leads to the devices behind it."
      filters={
        <Group gap="xs" mb="sm" component="search">
          <Search
            label="Search software"
            placeholder="Search by name"
            value={filter.q}
            onChange={(q) => set({ q })}
          />
          <Select
            aria-label="Source"
            placeholder="Any source"
            style={{ flex: "1 1 9rem", maxWidth: "13rem" }}
            clearable
            data={sources.map((s) => ({ value: s, label: sourceWords(s) }))}
            value={filter.source ?? null}
            onChange={(v) => set({ source: v ?? undefined })}
          />
          <Select
            aria-label="Order"
            style={{ flex: "1 1 9rem", maxWidth: "13rem" }}
            allowDeselect={false}
            data={[
              { value: "name", label: "By name" },
              { value: "devices", label: "Most devices first" },
            ]}
            value={filter.sort ?? "name"}
            onChange={(v) => set({ sort: v === "devices" ? "devices" : undefined })}
          />
        </Group>
      }
      count={foundWords(query, countWords(rows.length, "title"))}
      label="Software"
      query={query}
      rows={rows}
      columns={columns}
      rowKey={(s) => s.id}
      empty={
        filtered ? (
          <NoMatch
            title="No software matches"
            verb="Show all software"
            onAll={() => onFilter({ sort: filter.sort })}
          >
            Every word must occur in the name.
          </NoMatch>
        ) : (
          <Empty
            icon={<SoftwareIcon size={36} />}
            title="No software yet"
            action={<ButtonLink to="/devices">Go to devices</ButtonLink>}
          >
            Every package, app and browser extension of your devices is listed here, with its versions and who
            has them. Devices report it soon after they are enrolled.
          </Empty>
        )
      }
    />
  );
}

const columns: Column<SoftwareName>[] = [
  {
    key: "name",
    header: "Name",
    render: (s) => (
      <>
        <RowLink to="/software/$softwareId" params={{ softwareId: s.id }}>
          {s.name}
        </RowLink>
        <span className="narrow-only quiet" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
          {sourceWords(s.source)}
        </span>
      </>
    ),
  },
  {
    key: "source",
    header: "Source",
    width: "12rem",
    wide: true,
    render: (s) => <span className="one-line quiet">{sourceWords(s.source)}</span>,
  },
  {
    key: "versions",
    header: "Versions",
    width: "8rem",
    wide: true,
    render: (s) => s.versions?.toLocaleString("en"),
  },
  {
    key: "devices",
    header: "Devices",
    width: "7rem",
    render: (s) => (
      <PageLink
        to="/devices"
        search={{ software_id: s.id }}
        className="above-link"
        aria-label={`${countWords(s.devices, "device")} with ${s.name}`}
      >
        {s.devices.toLocaleString("en")}
      </PageLink>
    ),
  },
];
