/** What runs on the device: as a list or a tree, with what each has open, and ending it. */
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { decodeProcess } from "../../session/diagnostics.ts";
import { encode } from "../../session/envelope.ts";
import { Processes, type ProcessWish, type ShownProcess } from "../../session/processes.ts";
import { readMessage } from "../../session/toolchannel.ts";
import { bytes, percent } from "../../session/units.ts";
import type { ProcessDetails, ProcessRow, ProcessVerb } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import { type Column, Rows } from "../Rows.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";
import { Details } from "./Details.tsx";

/** What an action ended in; `still` is set when a process was asked to end and runs on. */
interface Outcome {
  readonly text: string;
  readonly bad: boolean;
  readonly still: ProcessRow | null;
}

/** See the file's comment. */
export function Pane({ session, view, active, target }: PaneProps): ReactNode {
  const [processes] = useState(() => new Processes());
  const [version, setVersion] = useState(0);
  const [wish, setWish] = useState<ProcessWish>({ tree: false, by: "cpu", down: true, text: "", own: false });
  const [chosen, setChosen] = useState<ProcessRow | null>(null);
  const [details, setDetails] = useState<ProcessDetails | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [busy, setBusy] = useState(false);
  const serial = useRef(0);
  const acted = useRef<ProcessRow | null>(null);

  const { state, channel, again } = useTool({
    session,
    view,
    name: "process",
    needs: "diagnostics",
    wanted: active,
    opened: (c) => {
      setBusy(false);
      c.send(encode("process.watch", { every_ms: 1000 }));
    },
    message: (m) => {
      const p = readMessage(decodeProcess, m);
      if (p === null) return;
      if (processes.take(p)) setVersion((n) => n + 1);
      else if (p.type === "process.details" && p.re === `look-${serial.current}`) setDetails(p.body);
      else if (p.type === "process.done") {
        const { ok, gone, message, what } = p.body;
        setBusy(false);
        setOutcome({ text: message, bad: !ok, still: what === "end" && !gone ? acted.current : null });
      }
    },
  });

  const look = (row: ProcessRow) => {
    setChosen(row);
    setDetails(null);
    channel?.send(encode("process.look", { pid: row.pid, birth: row.birth }, `look-${++serial.current}`));
  };
  const act = (row: ProcessRow, what: ProcessVerb, nice = 0) => {
    acted.current = row;
    setOutcome(null);
    const sent = channel?.send(
      encode("process.act", { pid: row.pid, birth: row.birth, what, nice }, `act-${++serial.current}`),
    );
    setBusy(sent === true);
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new wish, and the first whole list, look
  useEffect(() => {
    if (target === null || !processes.whole) return;
    const row = processes.get(Number(target.text));
    if (row !== undefined) look(row);
    else setWish((w) => ({ ...w, text: target.text }));
  }, [target?.serial, processes.whole]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the list changes in place; version says when
  const rows = useMemo(() => processes.shown(wish), [processes, wish, version]);
  const columns = useMemo(() => columnsOf(processes), [processes]);
  // The figures of the chosen one move too.
  const now = chosen === null ? null : processes.get(chosen.pid);
  const current = now?.birth === chosen?.birth ? (now ?? null) : null;

  if (!processes.whole && rows.length === 0) {
    return (
      <>
        <Ended state={state} again={again} />
        {state.kind !== "ended" && <p className="hv-empty">Reading the list of processes…</p>}
      </>
    );
  }
  return (
    <>
      <Ended state={state} again={again} />
      <Bar wish={wish} setWish={setWish} shown={rows.length} total={processes.total} />
      {outcome !== null && (
        <div className={outcome.bad ? "hv-banner" : "hv-bar"} role="status">
          <p>{outcome.text}</p>
          {outcome.still !== null && (
            <button
              type="button"
              className="hv-button hv-danger"
              onClick={() => outcome.still && act(outcome.still, "kill")}
            >
              End it at once
            </button>
          )}
          <button type="button" className="hv-button hv-small" onClick={() => setOutcome(null)}>
            Close
          </button>
        </div>
      )}
      <Rows
        label="Processes"
        columns={columns}
        rows={rows}
        keyOf={(s) => s.row.pid}
        chosen={chosen?.pid ?? null}
        choose={(s) => look(s.row)}
        sorting={wish}
        sort={(by) =>
          setWish((w) => ({
            ...w,
            by: by as ProcessWish["by"],
            down: w.by === by ? !w.down : by === "cpu" || by === "memory",
          }))
        }
        mark={(s) => (s.row.now.state === "Z" || s.row.now.state === "D" ? "hv-warn" : "")}
        empty="No process fits."
      />
      {chosen !== null && (
        <Details
          row={current}
          name={chosen.name}
          details={details}
          mayRoot={view.may.includes("root")}
          busy={busy || channel === null}
          act={act}
          close={() => setChosen(null)}
        />
      )}
    </>
  );
}

function Bar(props: {
  readonly wish: ProcessWish;
  readonly setWish: (w: ProcessWish) => void;
  readonly shown: number;
  readonly total: number;
}): ReactNode {
  const { wish, setWish, shown, total } = props;
  return (
    <div className="hv-bar">
      <input
        className="hv-input-text"
        type="search"
        aria-label="Filter processes"
        placeholder="Name, command, user or number"
        value={wish.text}
        onChange={(e) => setWish({ ...wish, text: e.target.value })}
      />
      <button
        type="button"
        className="hv-button"
        aria-pressed={wish.tree}
        onClick={() => setWish({ ...wish, tree: !wish.tree })}
      >
        Tree
      </button>
      <button
        type="button"
        className="hv-button"
        aria-pressed={wish.own}
        onClick={() => setWish({ ...wish, own: !wish.own })}
      >
        The user’s own
      </button>
      <p className="hv-said">{shown === total ? `${total} processes` : `${shown} of ${total} processes`}</p>
    </div>
  );
}

const states: Readonly<Record<string, string>> = {
  R: "running",
  S: "asleep",
  D: "waits for a disk",
  T: "held",
  t: "held",
  Z: "ended",
  I: "idle",
};

function columnsOf(processes: Processes): readonly Column<ShownProcess>[] {
  return [
    {
      id: "name",
      label: "Name",
      width: "minmax(10em, 1fr)",
      cell: ({ row, depth }) => (
        <span style={{ paddingLeft: `${Math.min(depth, 20)}em` }} title={row.command || row.name}>
          {row.name}
          <span className="hv-soft">{row.kind === "kernel" ? " (kernel)" : ""}</span>
        </span>
      ),
    },
    { id: "cpu", label: "CPU", width: "4.5em", right: true, cell: ({ row }) => cpuOf(row, processes.cores) },
    { id: "memory", label: "Memory", width: "5.5em", right: true, cell: ({ row }) => bytes(row.now.memory) },
    { id: "user", label: "User", width: "6em", cell: ({ row }) => row.user },
    { id: "state", label: "State", width: "6em", cell: ({ row }) => states[row.now.state] ?? row.now.state },
    { id: "pid", label: "Number", width: "5em", right: true, cell: ({ row }) => row.pid },
  ];
}

/** The share of the whole device, as its owner thinks of it: 100 % is every processor. */
const cpuOf = (row: ProcessRow, cores: number) => percent(row.now.cpu / 10 / cores);
