import { useQuery } from "@tanstack/react-query";
import { isNotFound } from "../../api/client.ts";
import { softwareVersionsQuery } from "../../api/software.ts";
import type { SoftwareVersion } from "../../api/types.ts";
import { SoftwareIcon } from "../../ui/icons.tsx";
import { ListPage } from "../../ui/ListPage.tsx";
import { ButtonLink, PageLink } from "../../ui/links.tsx";
import type { Column } from "../../ui/RowTable.tsx";
import { Empty } from "../../ui/states.tsx";
import { countWords } from "../../ui/words.ts";
import { sourceWords } from "./sourceWords.ts";

/** One software: its versions, and which devices have which. */
export function TitlePage({ id }: { id: string }) {
  const query = useQuery(softwareVersionsQuery(id));
  const software = query.data;
  const gone = isNotFound(query.error);
  return (
    <ListPage
      title={software?.name ?? (gone ? "No such software" : "Software")}
      above={
        <PageLink to="/software" size="sm" c="dimmed">
          ← Software
        </PageLink>
      }
      lead={
        software && (
          <>
            {sourceWords(software.source)} ·{" "}
            <PageLink to="/devices" search={{ software_id: id }} underline="always">
              {countWords(software.devices, "device")}
            </PageLink>
            {software.devices !== sum(software.versions) && <span> · some have more than one version</span>}
          </>
        )
      }
      label="Versions"
      query={gone ? { ...query, isError: false } : query}
      rows={software?.versions ?? []}
      columns={columnsOf(id)}
      rowKey={(v) => v.id}
      empty={
        <Empty
          icon={<SoftwareIcon size={36} />}
          title="No device has it"
          action={<ButtonLink to="/software">All software</ButtonLink>}
        >
          It was removed from the last device that had it, or those devices are not yours to see.
        </Empty>
      }
    />
  );
}

const sum = (versions: readonly SoftwareVersion[]) => versions.reduce((n, v) => n + v.devices, 0);

const columnsOf = (id: string): Column<SoftwareVersion>[] => [
  {
    key: "version",
    header: "Version",
    render: (v) => (
      <>
        <span className="wrap-anywhere" style={{ fontWeight: 550 }}>
          {v.version || "No version"}
        </span>
        {v.scope && <span className="quiet"> · for {v.scope} only</span>}
      </>
    ),
  },
  {
    key: "arch",
    header: "Architecture",
    width: "9rem",
    wide: true,
    render: (v) => <span className="quiet">{v.arch}</span>,
  },
  {
    key: "publisher",
    header: "Publisher",
    width: "32%",
    wide: true,
    render: (v) => <span className="one-line quiet">{v.publisher}</span>,
  },
  {
    key: "devices",
    header: "Devices",
    width: "7rem",
    render: (v) => (
      <PageLink
        to="/devices"
        search={{ software_id: `${id}/${v.id}` }}
        aria-label={`${countWords(v.devices, "device")} with version ${v.version}`}
      >
        {v.devices.toLocaleString("en")}
      </PageLink>
    ),
  },
];
