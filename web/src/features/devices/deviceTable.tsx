import { Checkbox } from "@mantine/core";
import { useMemo } from "react";
import type { Device } from "../../api/types.ts";
import { RowLink } from "../../ui/links.tsx";
import { DeviceMark } from "../../ui/marks.tsx";
import type { Column } from "../../ui/RowTable.tsx";
import { countWords } from "../../ui/words.ts";
import { ConnectButton } from "./ConnectButton.tsx";
import { type DeviceColumn, usualColumns } from "./deviceColumns.tsx";

const nameRoom = 14; // rem
const nameLeast = 10.5;
const chooseRoom = 2.5;
const connectRoom = 7.5;

/** Room that the table takes with these columns, in rem; `least`: before it scrolls sideways. */
export function roomOf(columns: readonly DeviceColumn[], least = false): number {
  const room = (of: number, grows?: boolean) => (least && grows ? 0.6 * of : of);
  return columns.reduce(
    (sum, c) => sum + room(c.room, c.grows),
    (least ? nameLeast : nameRoom) + chooseRoom + connectRoom,
  );
}

/** The chosen columns between what every list of devices has: tick, name, connect. */
export function useTableColumns(
  columns: readonly DeviceColumn[],
  rows: readonly Device[],
  chosen: ReadonlyMap<string, Device>,
  /** `listed`: the box of the header was ticked or emptied. */
  onChoose: (chosen: ReadonlyMap<string, Device>, listed?: boolean) => void,
): Column<Device>[] {
  return useMemo(() => {
    // Narrow screens show these below the name, and of the usual ones only the state.
    const below = columns.filter((c) => !usualColumns.includes(c.key));
    return [
      {
        key: "choose",
        header: "Choose",
        quiet: true,
        width: `${chooseRoom}rem`,
        head: rows.length > 0 && <ChooseListed rows={rows} chosen={chosen} onChoose={onChoose} />,
        render: (d) => (
          <span className="above-link">
            <Checkbox
              size="xs"
              aria-label={`Choose ${d.name}`}
              checked={chosen.has(d.id)}
              onChange={(e) => {
                const next = new Map(chosen);
                if (e.currentTarget.checked) next.set(d.id, d);
                else next.delete(d.id);
                onChoose(next);
              }}
            />
          </span>
        ),
      },
      {
        key: "name",
        header: "Name",
        render: (d) => (
          <>
            <RowLink to="/devices/$deviceId" params={{ deviceId: d.id }}>
              {d.name}
            </RowLink>
            <div className="narrow-only quiet" style={{ fontSize: "var(--mantine-font-size-sm)" }}>
              <DeviceMark state={d.state} />
              {below.length > 0 && (
                <dl className="row-facts">
                  {below.map((c) => (
                    <div key={c.key}>
                      <dt>{c.header}</dt>
                      <dd>{c.render(d) ?? "–"}</dd>
                    </div>
                  ))}
                </dl>
              )}
            </div>
          </>
        ),
      },
      ...columns.map(
        (c): Column<Device> => ({
          key: c.key,
          header: c.header,
          wide: true,
          ...(c.grows ? {} : { width: `${c.room}rem` }),
          render: c.render,
        }),
      ),
      {
        key: "connect",
        header: "Connect",
        quiet: true,
        width: `${connectRoom}rem`,
        render: (d) =>
          d.may.includes("session.view") && d.state === "online" ? (
            <span className="above-link" style={{ float: "right" }}>
              <ConnectButton device={d} compact />
            </span>
          ) : null,
      },
    ];
  }, [columns, rows, chosen, onChoose]);
}

interface ChooseListedProps {
  rows: readonly Device[];
  chosen: ReadonlyMap<string, Device>;
  onChoose: (chosen: ReadonlyMap<string, Device>, listed: boolean) => void;
}

/** Ticks every device that the list has loaded, or none of them. */
function ChooseListed({ rows, chosen, onChoose }: ChooseListedProps) {
  const ticked = rows.filter((d) => chosen.has(d.id)).length;
  const all = ticked === rows.length;
  return (
    <Checkbox
      size="xs"
      aria-label={`Choose the ${countWords(rows.length, "device")} listed`}
      checked={all}
      indeterminate={ticked > 0 && !all}
      onChange={() => {
        const next = new Map(chosen);
        for (const d of rows) {
          if (all) next.delete(d.id);
          else next.set(d.id, d);
        }
        onChoose(next, !all);
      }}
    />
  );
}
