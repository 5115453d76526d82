import { Button, Group, SegmentedControl, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { duplicatesQuery, useKeepDuplicate, useReplaceDevice } from "../../api/devices.ts";
import type { Device, Duplicate } from "../../api/types.ts";
import { Confirm } from "../../ui/Confirm.tsx";
import { pathWords } from "../../ui/groupTree.ts";
import { CheckIcon } from "../../ui/icons.tsx";
import { PageLink } from "../../ui/links.tsx";
import { DeviceMark } from "../../ui/marks.tsx";
import { notifyDone, notifyFailed } from "../../ui/notify.ts";
import { Page } from "../../ui/Page.tsx";
import { Empty, Loaded } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { countWords } from "../../ui/words.ts";

interface DuplicatesPageProps {
  kept: boolean;
  onKept: (kept: boolean) => void;
}

/** Records that seem to be of one machine, as after a new installation: one is retired, or both stay. */
export function DuplicatesPage({ kept, onKept }: DuplicatesPageProps) {
  const query = useQuery(duplicatesQuery(kept));
  return (
    <Page
      title="Suspected duplicates"
      lead="Records that share what only one machine should have, as after a new installation or a cloned disk."
      above={
        <PageLink to="/devices" search={{ view: "all" }} size="sm" c="dimmed">
          ← Devices
        </PageLink>
      }
    >
      <SegmentedControl
        mb="sm"
        aria-label="Which"
        data={[
          { value: "open", label: "To be judged" },
          { value: "kept", label: "Said to be several" },
        ]}
        value={kept ? "kept" : "open"}
        onChange={(v) => onKept(v === "kept")}
      />
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <div className="panel">
              <Empty icon={<CheckIcon size={32} />} title={kept ? "Nothing was judged so" : "No duplicates"}>
                {kept
                  ? "Records that you keep although they look like one machine are listed here."
                  : "No two of your devices share a serial number or a network address."}
              </Empty>
            </div>
          ) : (
            <Stack gap="md">
              <p className="list-count" role="status">
                {countWords(items.length, "machine")} with more than one record
              </p>
              {items.map((d) => (
                <DuplicatePanel key={d.id} duplicate={d} kept={kept} />
              ))}
            </Stack>
          )
        }
      </Loaded>
    </Page>
  );
}

function whyWords(d: Duplicate): string {
  return d.reason === "serial"
    ? `The same serial number, ${d.value}`
    : `The same network address, ${d.value}`;
}

function DuplicatePanel({ duplicate, kept }: { duplicate: Duplicate; kept: boolean }) {
  const [retiring, setRetiring] = useState<Device | null>(null);
  const keep = useKeepDuplicate(!kept);
  const id = `duplicate-${duplicate.id}`;
  // Of those that stay, the one seen last takes the place of the one that goes.
  const otherThan = (d: Device) => duplicate.devices.find((o) => o !== d);
  const stays = retiring && otherThan(retiring);
  const mayManage = duplicate.devices.every((d) => d.may.includes("device.manage"));
  return (
    <section className="panel panel-pad" aria-labelledby={id}>
      <Group justify="space-between" mb="xs" align="flex-start">
        <Title order={2} id={id} className="wrap-anywhere" style={{ flex: "1 1 16rem" }}>
          {whyWords(duplicate)}
        </Title>
        {mayManage && (
          <Button
            size="compact-md"
            variant="default"
            loading={keep.isPending}
            onClick={() =>
              keep.mutate(duplicate.id, {
                onSuccess: () => notifyDone(kept ? "They are suspected again." : "All of them are kept."),
                onError: (e) => notifyFailed("That did not work", e),
              })
            }
          >
            {kept ? "Suspect again" : duplicate.devices.length === 2 ? "Keep both" : "Keep all"}
          </Button>
        )}
      </Group>
      <ul className="plain-list">
        {duplicate.devices.map((d) => (
          <li key={d.id} style={{ flexWrap: "wrap" }}>
            <div style={{ flex: "1 1 14rem", minWidth: 0 }}>
              <Group gap="sm">
                <PageLink to="/devices/$deviceId" params={{ deviceId: d.id }} fw={600}>
                  {d.name}
                </PageLink>
                <DeviceMark state={d.state} />
              </Group>
              <Text size="sm" c="dimmed">
                {[d.model, pathWords(d.group_path)].filter(Boolean).join(" · ")} · enrolled{" "}
                <Time at={d.enrolled_at} /> ·{" "}
                {d.state === "online" ? (
                  "online now"
                ) : (
                  <>
                    last seen <Time at={d.last_seen_at} />
                  </>
                )}
              </Text>
            </div>
            {!kept && d.may.includes("device.revoke") && otherThan(d)?.may.includes("device.revoke") && (
              <Button
                size="compact-md"
                variant="default"
                onClick={() => setRetiring(d)}
                aria-label={`Retire ${d.name}, enrolled ${d.enrolled_at.slice(0, 10)}`}
              >
                Retire…
              </Button>
            )}
          </li>
        ))}
      </ul>
      {retiring && stays && <Retire old={retiring} stays={stays} onClose={() => setRetiring(null)} />}
    </section>
  );
}

/** Gives the record that stays the place of the other, and cuts that off. */
function Retire({ old, stays, onClose }: { old: Device; stays: Device; onClose: () => void }) {
  const replace = useReplaceDevice();
  return (
    <Confirm
      opened
      title={`Retire ${old.name}?`}
      verb="Retire it"
      busy={replace.isPending}
      error={replace.error}
      onClose={onClose}
      onConfirm={() =>
        replace.mutate(
          { id: stays.id, old_id: old.id },
          {
            onSuccess: () => {
              notifyDone(`${old.name} is retired.`);
              onClose();
            },
          },
        )
      }
    >
      {stays.name === old.name ? "The other record" : stays.name} takes its name, group, labels and asset
      fields. The old record is revoked: its key is never accepted again.
    </Confirm>
  );
}
