import { Text } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { rolloutDevicesQuery } from "../../api/policies.ts";
import { PageLink } from "../../ui/links.tsx";
import { More } from "../../ui/More.tsx";
import { SettingMark } from "../../ui/settingWords.tsx";
import { SkeletonRows } from "../../ui/states.tsx";

export type RolloutState = Parameters<typeof rolloutDevicesQuery>[1];

interface Props {
  id: string;
  rollout: string;
  state: RolloutState;
}

/** The devices behind a number of a roll-out's board. */
export function RolloutDevices({ id, rollout, state }: Props) {
  const query = useInfiniteQuery(rolloutDevicesQuery(rollout, state));
  const rows = query.data?.pages.flatMap((p) => p.items) ?? [];
  return (
    <section id={id} aria-label={`Devices: ${state}`} aria-busy={query.isPending}>
      {query.isPending ? (
        <SkeletonRows rows={3} />
      ) : rows.length > 0 ? (
        <ul className="bare-list">
          {rows.map((d) => (
            <li key={d.device_id} className="tree-row">
              <div style={{ flex: 1, minWidth: 0 }}>
                <PageLink
                  to="/devices/$deviceId"
                  params={{ deviceId: d.device_id }}
                  search={{ tab: "settings" }}
                >
                  {d.name}
                </PageLink>{" "}
                <span className="quiet">
                  {d.group_path.join(" › ")} <SettingMark state={d.state} />
                </span>
              </div>
            </li>
          ))}
        </ul>
      ) : (
        !query.isError && (
          <Text size="sm" c="dimmed">
            No device stands so now.
          </Text>
        )
      )}
      <More query={query} />
    </section>
  );
}
