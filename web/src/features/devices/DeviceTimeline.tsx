import { Button, Group, Modal, Select, Stack, Text, TextInput } from "@mantine/core";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { historyQuery, inventoryDifferenceQuery } from "../../api/devices.ts";
import type { Chapter, Device } from "../../api/types.ts";
import { More } from "../../ui/More.tsx";
import { Empty, Loaded, SkeletonRows } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords, dayOf } from "../../ui/words.ts";
import { changeLine } from "./changeWords.ts";
import { sectionWords } from "./sectionWords.ts";

/** What changed on the device and when, the newest first. */
export function DeviceTimeline({ device }: { device: Device }) {
  const [section, setSection] = useState<string | null>(null);
  const [comparing, setComparing] = useState(false);
  const query = useInfiniteQuery(historyQuery(device.id, section ?? undefined));
  const chapters = query.data?.pages.flatMap((p) => p.items) ?? [];
  return (
    <>
      <Group justify="space-between" mb="sm">
        <Select
          aria-label="Kind of change"
          placeholder="Everything"
          clearable
          searchable
          data={Object.entries(sectionWords).map(([value, label]) => ({ value, label }))}
          value={section}
          onChange={setSection}
        />
        <Button variant="default" onClick={() => setComparing(true)}>
          Compare two days…
        </Button>
      </Group>
      <div className="panel panel-pad" aria-busy={query.isFetching}>
        {query.isPending ? (
          <SkeletonRows />
        ) : chapters.length === 0 ? (
          !query.isError && (
            <Empty title="Nothing has changed yet">
              From the first inventory on, every change of hardware, system and software is kept here.
            </Empty>
          )
        ) : (
          <ol className="versions" reversed>
            {withFirstsTogether(chapters).map((c) => (
              <li key={`${c[0]?.at} ${c[0]?.section}`}>
                <Entry chapters={c} />
              </li>
            ))}
          </ol>
        )}
        <More query={query} />
      </div>
      <Modal
        opened={comparing}
        onClose={() => setComparing(false)}
        size="lg"
        title={<Text fw={650}>Compare two days</Text>}
      >
        <Compare device={device} />
      </Modal>
    </>
  );
}

/** First reports that came one after the other are one entry: there is one of each section. */
function withFirstsTogether(chapters: readonly Chapter[]): Chapter[][] {
  const out: Chapter[][] = [];
  for (const c of chapters) {
    const last = out.at(-1);
    if (c.first && last?.[0]?.first) last.push(c);
    else out.push([c]);
  }
  return out;
}

function Entry({ chapters }: { chapters: readonly Chapter[] }) {
  const [first] = chapters;
  if (!first) return null;
  if (!first.first) return <ChapterLines chapter={first} />;
  return (
    <>
      <Group gap="sm">
        <Text fw={600}>Reported for the first time</Text>
        {first.at && (
          <Text size="sm" c="dimmed">
            <Time at={first.at} />
          </Text>
        )}
      </Group>
      <Text size="sm">{chapters.map((c) => sectionWords[c.section] ?? c.section).join(", ")}</Text>
    </>
  );
}

/** So many changes of one moment are shown at once; of an upgrade there may be hundreds. */
const fewChanges = 8;

function ChapterLines({ chapter: c }: { chapter: Chapter }) {
  const [whole, setWhole] = useState(false);
  const shown = whole || c.changes.length <= fewChanges + 2 ? c.changes : c.changes.slice(0, fewChanges);
  return (
    <>
      <Group gap="sm">
        <Text fw={600}>{sectionWords[c.section] ?? c.section}</Text>
        {c.at && (
          <Text size="sm" c="dimmed">
            <Time at={c.at} />
          </Text>
        )}
      </Group>
      <dl className="diff-fields wide-names">
        {shown.map((change) => {
          const { subject, before, after } = changeLine(c.section, change);
          return (
            <div key={change.path.join("/")}>
              <dt className="wrap-anywhere">{subject}</dt>
              <dd>
                {before !== undefined && <del>{before}</del>}
                {before !== undefined && after !== undefined && <span aria-hidden="true"> → </span>}
                {after !== undefined && <ins>{after}</ins>}
                {before === undefined && <span className="quiet"> new</span>}
                {after === undefined && <span className="quiet"> gone</span>}
              </dd>
            </div>
          );
        })}
      </dl>
      {shown.length < c.changes.length && (
        <Button size="compact-sm" variant="subtle" mt={4} onClick={() => setWhole(true)}>
          Show {countWords(c.changes.length - shown.length, "more change")}
        </Button>
      )}
      {(c.more ?? 0) > 0 && shown.length === c.changes.length && (
        <Text size="sm" c="dimmed">
          and {countWords(c.more ?? 0, "more change")}
        </Text>
      )}
    </>
  );
}

function Compare({ device }: { device: Device }) {
  const today = dayOf(Date.now());
  const [from, setFrom] = useState(dayOf(Date.now() - 7 * 86_400_000));
  const [to, setTo] = useState(today);
  const end = (day: string) => {
    const t = new Date(`${day}T23:59:59`).getTime();
    return new Date(Math.min(t, Date.now())).toISOString();
  };
  const query = useQuery({
    ...inventoryDifferenceQuery(device.id, from && end(from), to === today ? "" : to && end(to)),
    enabled: from !== "" && to !== "",
  });
  return (
    <Stack>
      <Group grow>
        <TextInput
          type="date"
          label="From the end of"
          data-autofocus
          max={today}
          value={from}
          onChange={(e) => setFrom(e.currentTarget.value)}
        />
        <TextInput
          type="date"
          label="To the end of"
          max={today}
          value={to}
          onChange={(e) => setTo(e.currentTarget.value)}
        />
      </Group>
      <Loaded query={query}>
        {(d) =>
          d.sections.length === 0 ? (
            <Text c="dimmed">Nothing differs.</Text>
          ) : (
            <ul className="versions">
              {withFirstsTogether(d.sections.map((c) => ({ ...c, at: "" }))).map((c) => (
                <li key={c[0]?.section}>
                  <Entry chapters={c} />
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </Stack>
  );
}
