import { Text, Title } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { historyQuery } from "../../api/devices.ts";
import type { Device } from "../../api/types.ts";
import { useNow } from "../../ui/clock.ts";
import { PageLink } from "../../ui/links.tsx";
import { ErrorPanel, SkeletonRows } from "../../ui/states.tsx";
import { Time } from "../../ui/Time.tsx";
import { recentChanges } from "./recentChanges.ts";

const days = 7;
const shown = 6;

/** What changed on the device in the last days, what may explain a fault first. */
export function DeviceChanges({ device }: { device: Device }) {
  const query = useInfiniteQuery(historyQuery(device.id));
  const since = useNow() - days * 86_400_000;
  const list = recentChanges(query.data?.pages.flatMap((p) => p.items) ?? [], since);
  return (
    <section className="panel panel-pad" aria-labelledby="device-changes" aria-busy={query.isPending}>
      <Title order={2} id="device-changes" mb="xs">
        Changed in the last {days} days
      </Title>
      {query.isPending ? (
        <SkeletonRows rows={3} />
      ) : query.isError ? (
        <ErrorPanel error={query.error} onRetry={() => void query.refetch()} />
      ) : list.length === 0 ? (
        <Text c="dimmed">Nothing that could explain a fault.</Text>
      ) : (
        <ul className="bare-list">
          {list.slice(0, shown).map((c) => (
            <li key={`${c.at} ${c.title}`} className="tree-row">
              <div style={{ flex: 1, minWidth: 0 }}>
                <Text fw={600} component="span">
                  {c.title}
                </Text>{" "}
                <span className="quiet">
                  <Time at={c.at} />
                </span>
                {c.words && (
                  <Text size="sm" className="wrap-anywhere">
                    {c.words}
                  </Text>
                )}
              </div>
            </li>
          ))}
        </ul>
      )}
      {!query.isPending && !query.isError && (
        <Text size="sm" mt="xs">
          <PageLink to="/devices/$deviceId" params={{ deviceId: device.id }} search={{ tab: "timeline" }}>
            {list.length > shown
              ? `${list.length - shown} more, and everything before`
              : "The whole timeline"}
          </PageLink>
        </Text>
      )}
    </section>
  );
}
