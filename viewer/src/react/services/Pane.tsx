/** What the device keeps running: the state of each service, its last words, and starting or stopping it. */
import { type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import { decodeService } from "../../session/diagnostics.ts";
import { encode } from "../../session/envelope.ts";
import { readMessage } from "../../session/toolchannel.ts";
import { bytes, dayAndClock } from "../../session/units.ts";
import type { ServiceDetails, ServiceRow, ServiceRows, ServiceVerb } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import { type Column, Rows, type Sorting } from "../Rows.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";

interface Known {
  readonly rows: ReadonlyMap<string, ServiceRow>;
  readonly whole: boolean;
  readonly message: string;
}

/** The most services that are kept. */
const mostServices = 10_000;

/** See the file's comment. */
export function Pane({ session, view, active, target, open }: PaneProps): ReactNode {
  const [known, setKnown] = useState<Known>({ rows: new Map(), whole: false, message: "" });
  const [text, setText] = useState("");
  const [only, setOnly] = useState<"" | "failed" | "active">("");
  const [sorting, setSorting] = useState<Sorting>({ by: "name", down: false });
  const [chosen, setChosen] = useState<string | null>(null);
  const [details, setDetails] = useState<ServiceDetails | null>(null);
  const [outcome, setOutcome] = useState<{ readonly text: string; readonly bad: boolean } | null>(null);
  const [busy, setBusy] = useState(false);
  const serial = useRef(0);

  const { state, channel, again } = useTool({
    session,
    view,
    name: "service",
    needs: "diagnostics",
    wanted: active,
    opened: (c) => {
      setBusy(false);
      c.send(encode("service.watch", { every_ms: 2000 }));
    },
    message: (m, c) => {
      const s = readMessage(decodeService, m);
      if (s?.type === "service.rows") setKnown((k) => taken(k, s.body));
      else if (s?.type === "service.details" && s.re === `look-${serial.current}`) setDetails(s.body);
      else if (s?.type === "service.done") {
        setBusy(false);
        setOutcome({ text: s.body.message, bad: !s.body.ok });
        c.send(encode("service.look", { name: s.body.name }, `look-${++serial.current}`));
      }
    },
  });

  const look = (name: string) => {
    setChosen(name);
    setDetails(null);
    channel?.send(encode("service.look", { name }, `look-${++serial.current}`));
  };
  const act = (name: string, what: ServiceVerb) => {
    setOutcome(null);
    setBusy(channel?.send(encode("service.act", { name, what }, `act-${++serial.current}`)) === true);
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new wish, and the first whole list, look
  useEffect(() => {
    if (target === null || !known.whole) return;
    if (known.rows.has(target.text)) look(target.text);
    else setText(target.text);
  }, [target?.serial, known.whole]);

  const rows = useMemo(() => shown(known.rows, text, only, sorting), [known, text, only, sorting]);
  const failed = useMemo(() => [...known.rows.values()].filter((r) => r.state === "failed").length, [known]);
  const row = chosen === null ? undefined : known.rows.get(chosen);

  if (!known.whole) {
    return (
      <>
        <Ended state={state} again={again} />
        {state.kind !== "ended" && <p className="hv-empty">Reading the list of services…</p>}
      </>
    );
  }
  return (
    <>
      <Ended state={state} again={again} />
      <div className="hv-bar">
        <input
          className="hv-input-text"
          type="search"
          aria-label="Filter services"
          placeholder="Name or description"
          value={text}
          onChange={(e) => setText(e.target.value)}
        />
        <select
          className="hv-select"
          aria-label="Which services"
          value={only}
          onChange={(e) => setOnly(e.target.value as typeof only)}
        >
          <option value="">All</option>
          <option value="active">Running</option>
          <option value="failed">Failed</option>
        </select>
        <p className={failed > 0 ? "hv-said hv-bad" : "hv-said"}>
          {known.rows.size} services{failed > 0 ? `, ${failed} failed` : ""}
        </p>
      </div>
      {known.message !== "" && <p className="hv-bar hv-said">{known.message}</p>}
      {outcome !== null && (
        <div className={outcome.bad ? "hv-banner" : "hv-bar"} role="status">
          <p>{outcome.text}</p>
          <button type="button" className="hv-button hv-small" onClick={() => setOutcome(null)}>
            Close
          </button>
        </div>
      )}
      <Rows
        label="Services"
        columns={columns}
        rows={rows}
        keyOf={(r) => r.name}
        chosen={chosen}
        choose={(r) => look(r.name)}
        sorting={sorting}
        sort={(by) => setSorting((s) => ({ by, down: s.by === by && !s.down }))}
        mark={(r) => (r.state === "failed" ? "hv-bad" : "")}
        empty={
          known.rows.size === 0 ? "This device keeps no services that can be listed." : "No service fits."
        }
      />
      {row !== undefined && (
        <Details
          row={row}
          details={details?.row.name === row.name ? details : null}
          mayRoot={view.may.includes("root")}
          busy={busy || channel === null}
          act={(what) => act(row.name, what)}
          log={() => open("journal", row.name)}
          close={() => setChosen(null)}
        />
      )}
    </>
  );
}

function taken(k: Known, b: ServiceRows): Known {
  const rows = new Map(b.first ? [] : k.rows);
  for (const name of b.gone ?? []) rows.delete(name);
  for (const r of b.rows ?? []) if (rows.size < mostServices || rows.has(r.name)) rows.set(r.name, r);
  return { rows, whole: k.whole || b.last, message: b.message || (b.first ? "" : k.message) };
}

function shown(
  all: ReadonlyMap<string, ServiceRow>,
  text: string,
  only: string,
  sorting: Sorting,
): readonly ServiceRow[] {
  const wanted = text.trim().toLowerCase();
  const of = (r: ServiceRow) =>
    sorting.by === "state" ? r.state : sorting.by === "enabled" ? r.enabled : r.name.toLowerCase();
  const sign = sorting.down ? -1 : 1;
  return [...all.values()]
    .filter((r) => only === "" || r.state === only)
    .filter((r) => r.name.toLowerCase().includes(wanted) || r.description.toLowerCase().includes(wanted))
    .sort((a, b) => sign * (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0) || (a.name < b.name ? -1 : 1));
}

const columns: readonly Column<ServiceRow>[] = [
  {
    id: "name",
    label: "Name",
    width: "minmax(10em, 1fr)",
    cell: (r) => <span title={r.description}>{r.name}</span>,
  },
  { id: "state", label: "State", width: "9em", cell: (r) => (r.sub ? `${r.state} (${r.sub})` : r.state) },
  { id: "enabled", label: "At start", width: "6em", cell: (r) => r.enabled },
  { id: "what", label: "What it is", width: "minmax(8em, 1fr)", cell: (r) => r.description },
];

const verbs: readonly (readonly [ServiceVerb, string])[] = [
  ["start", "Start"],
  ["restart", "Restart"],
  ["stop", "Stop"],
  ["enable", "Start it with the device"],
  ["disable", "Not with the device"],
];

function Details(props: {
  readonly row: ServiceRow;
  readonly details: ServiceDetails | null;
  readonly mayRoot: boolean;
  readonly busy: boolean;
  readonly act: (what: ServiceVerb) => void;
  readonly log: () => void;
  readonly close: () => void;
}): ReactNode {
  const { row, details, mayRoot, busy, act } = props;
  const fits = (v: ServiceVerb) => {
    if (v === "start") return row.state !== "active";
    if (v === "stop" || v === "restart") return row.state !== "inactive";
    return v === "enable" ? row.enabled === "disabled" : row.enabled === "enabled";
  };
  const facts: readonly (readonly [string, string])[] =
    details === null
      ? []
      : [
          ["Since", details.since_ms > 0 ? dayAndClock(details.since_ms) : ""],
          ["Main process", details.pid > 0 ? String(details.pid) : ""],
          ["Memory", details.memory >= 0 ? bytes(details.memory) : ""],
          ["Tasks", details.tasks >= 0 ? String(details.tasks) : ""],
          [
            "Last run ended",
            details.result === "" || details.result === "success"
              ? ""
              : `${details.result} (${details.exit})`,
          ],
          ["Restarted by itself", details.starts > 0 ? `${details.starts} times` : ""],
          ["Defined in", details.file],
          ["Needs", (details.needs ?? []).join(", ")],
        ];
  return (
    <section className="hv-details" aria-label={`Service ${row.name}`}>
      <div className="hv-bar">
        <strong className="hv-grow">{row.name}</strong>
        {!mayRoot && (
          <span className="hv-said">Changing services needs administrator rights in this session.</span>
        )}
        {verbs
          .filter(([v]) => fits(v))
          .map(([v, label]) => (
            <button
              key={v}
              type="button"
              className={v === "stop" ? "hv-button hv-danger" : "hv-button"}
              disabled={busy || !mayRoot}
              onClick={() => act(v)}
            >
              {label}
            </button>
          ))}
        <button type="button" className="hv-button" onClick={props.log}>
          Its log
        </button>
        <button type="button" className="hv-button" onClick={props.close}>
          Close
        </button>
      </div>
      {details === null && <p className="hv-soft">Reading…</p>}
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
      {details?.message ? <p className="hv-soft">{details.message}</p> : null}
      {(details?.log ?? []).length > 0 && <pre className="hv-log">{details?.log?.join("\n")}</pre>}
    </section>
  );
}
