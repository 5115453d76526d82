/** What else there is to know of the device: who is signed in, faults of the hardware, crashes, its start, updates. */
import { type ReactNode, useEffect, useRef, useState } from "react";
import { decodeMachine } from "../../session/diagnostics.ts";
import { encode } from "../../session/envelope.ts";
import { readMessage, type ToolChannel } from "../../session/toolchannel.ts";
import { dayAndClock } from "../../session/units.ts";
import type { MachineTable, MachineTopic } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";

const topics: readonly (readonly [MachineTopic, string])[] = [
  ["users", "Signed in"],
  ["faults", "Hardware faults"],
  ["crashes", "Crashes"],
  ["boot", "Last start"],
  ["updates", "Updates"],
];

/** See the file's comment. */
export function Pane({ session, view, active, target }: PaneProps): ReactNode {
  const first = topics.find(([t]) => t === target?.text)?.[0] ?? "users";
  const [topic, setTopic] = useState<MachineTopic>(first);
  const [table, setTable] = useState<MachineTable | null>(null);
  const serial = useRef(0);
  const ask = (c: ToolChannel | null, of: MachineTopic) => {
    setTopic(of);
    setTable(null);
    c?.send(encode("machine.ask", { topic: of }, String(++serial.current)));
  };
  const { state, channel, again } = useTool({
    session,
    view,
    name: "machine",
    needs: "diagnostics",
    wanted: active,
    opened: (c) => ask(c, topic),
    message: (m) => {
      const t = readMessage(decodeMachine, m);
      if (t !== null && t.re === String(serial.current)) setTable(t.body);
    },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new wish asks
  useEffect(() => {
    const wanted = topics.find(([t]) => t === target?.text)?.[0];
    if (wanted !== undefined && wanted !== topic) ask(channel, wanted);
  }, [target?.serial]);
  return (
    <>
      <Ended state={state} again={again} />
      <div className="hv-bar">
        {topics.map(([t, label]) => (
          <button
            key={t}
            type="button"
            className="hv-button"
            aria-pressed={t === topic}
            disabled={channel === null}
            onClick={() => ask(channel, t)}
          >
            {label}
          </button>
        ))}
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard */}
      <section className="hv-body" aria-label={topics.find(([t]) => t === topic)?.[1]} tabIndex={0}>
        {table === null ? (
          state.kind !== "ended" && <p className="hv-empty">Reading…</p>
        ) : (
          <Table table={table} />
        )}
      </section>
    </>
  );
}

function Table({ table }: { readonly table: MachineTable }): ReactNode {
  const rows = table.rows ?? [];
  const timed = rows.some((r) => r.time_ms > 0);
  return (
    <>
      <p className="hv-bar" role="status">
        {table.summary}
      </p>
      {table.message !== "" && <p className="hv-bar hv-said">{table.message}</p>}
      {rows.length > 0 && (
        <table className="hv-table">
          <thead>
            <tr>
              {timed && <th scope="col">When</th>}
              {(table.columns ?? []).map((c) => (
                <th key={c} scope="col">
                  {c}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((r, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: rows have no names, and come all at once
              <tr key={i} className={r.bad ? "hv-bad" : undefined}>
                {timed && <td>{r.time_ms > 0 ? dayAndClock(r.time_ms) : ""}</td>}
                {(r.cells ?? []).map((cell, k) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: as above
                  <td key={k}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
