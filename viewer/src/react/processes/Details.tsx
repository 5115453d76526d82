/** One process: what it is, has open, and what can be done with it. */
import { type ReactNode, useState } from "react";
import { bytes, dayAndClock } from "../../session/units.ts";
import type { ProcessDetails, ProcessRow, ProcessVerb } from "../../session/wire.gen.ts";

interface DetailsProps {
  /** Null when it runs no more. */
  readonly row: ProcessRow | null;
  readonly name: string;
  readonly details: ProcessDetails | null;
  readonly mayRoot: boolean;
  readonly busy: boolean;
  readonly act: (row: ProcessRow, what: ProcessVerb, nice?: number) => void;
  readonly close: () => void;
}

/** See the file's comment. */
export function Details({ row, name, details, mayRoot, busy, act, close }: DetailsProps): ReactNode {
  return (
    <section className="hv-details" aria-label={`Process ${name}`}>
      <div className="hv-bar">
        <strong className="hv-grow">{name}</strong>
        {row !== null && <Actions row={row} mayRoot={mayRoot} busy={busy} act={act} />}
        <button type="button" className="hv-button" onClick={close}>
          Close
        </button>
      </div>
      {row === null && <p>It has ended.</p>}
      {row !== null && <Facts row={row} details={details} />}
      {details?.message ? <p className="hv-soft">{details.message}</p> : null}
      {details !== null && !details.gone && <Open details={details} />}
    </section>
  );
}

function Actions(
  props: Pick<DetailsProps, "mayRoot" | "busy" | "act"> & { readonly row: ProcessRow },
): ReactNode {
  const { row, mayRoot, busy, act } = props;
  const [sure, setSure] = useState(0);
  const untouchable = row.kind === "agent" || row.kind === "kernel";
  const why = untouchable
    ? row.kind === "agent"
      ? "Handrail's own process is not acted on from here."
      : "A thread of the kernel cannot be ended."
    : row.kind !== "own" && !mayRoot
      ? "Another's process: that needs administrator rights in this session."
      : "";
  const off = busy || why !== "";
  return (
    <>
      {why !== "" && <span className="hv-said">{why}</span>}
      <label className="hv-said">
        Priority{" "}
        <select
          className="hv-select"
          disabled={off}
          value={row.now.nice}
          onChange={(e) => act(row, "nice", Number(e.target.value))}
        >
          {prioritiesWith(row.now.nice).map(([nice, label]) => (
            <option key={nice} value={nice}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {row.now.state === "T" ? (
        <button type="button" className="hv-button" disabled={off} onClick={() => act(row, "continue")}>
          Let it go on
        </button>
      ) : (
        <button type="button" className="hv-button" disabled={off} onClick={() => act(row, "stop")}>
          Hold
        </button>
      )}
      {sure === row.pid ? (
        <button
          type="button"
          className="hv-button hv-danger"
          disabled={off}
          // biome-ignore lint/a11y/noAutofocus: it takes the place of the button that was pressed
          autoFocus
          onBlur={() => setSure(0)}
          onClick={() => {
            setSure(0);
            act(row, "end");
          }}
        >
          End {row.name}?
        </button>
      ) : (
        <button type="button" className="hv-button hv-danger" disabled={off} onClick={() => setSure(row.pid)}>
          End
        </button>
      )}
    </>
  );
}

const priorities: readonly (readonly [number, string])[] = [
  [-10, "high"],
  [-5, "above normal"],
  [0, "normal"],
  [10, "below normal"],
  [19, "lowest"],
];

/** The priorities to choose from, and the one it has. */
function prioritiesWith(nice: number): readonly (readonly [number, string])[] {
  if (priorities.some(([n]) => n === nice)) return priorities;
  return [...priorities, [nice, String(nice)] as const].sort((a, b) => a[0] - b[0]);
}

function Facts({
  row,
  details,
}: {
  readonly row: ProcessRow;
  readonly details: ProcessDetails | null;
}): ReactNode {
  const facts: readonly (readonly [string, string])[] = [
    ["Command", details?.command?.join(" ") || row.command],
    ["Program", details?.exe ?? ""],
    ["Works in", details?.dir ?? ""],
    ["Belongs to", details?.control ?? ""],
    ["Runs since", dayAndClock(row.start_ms)],
    ["Threads", String(row.now.threads)],
    ["Read from disks", details === null ? "" : bytes(details.read)],
    ["Written to disks", details === null ? "" : bytes(details.written)],
  ];
  return (
    <dl className="hv-facts">
      {facts
        .filter(([, value]) => value !== "")
        .map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

function Open({ details }: { readonly details: ProcessDetails }): ReactNode {
  const files = details.files ?? [];
  const sockets = details.sockets ?? [];
  return (
    <>
      <h3>Connections ({sockets.length})</h3>
      {sockets.length > 0 && (
        <table className="hv-table">
          <tbody>
            {sockets.map((s, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: two sockets may read the same
              <tr key={i}>
                <td>{s.proto}</td>
                <td>{s.local}</td>
                <td>{s.remote}</td>
                <td>{s.state}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <h3>
        Open files (
        {files.length === details.file_count ? files.length : `${files.length} of ${details.file_count}`})
      </h3>
      <p className="hv-log">{files.map((f) => `${f.fd}\t${f.name}`).join("\n")}</p>
    </>
  );
}
