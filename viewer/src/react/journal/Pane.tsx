/** The device's log: followed, filtered, searched, and read backwards as far as it goes. */
import { type ReactNode, useCallback, useEffect, useId, useRef, useState } from "react";
import { decodeJournal } from "../../session/diagnostics.ts";
import { encode } from "../../session/envelope.ts";
import { JournalLog, type LogEntry } from "../../session/journallog.ts";
import { readMessage, type ToolChannel } from "../../session/toolchannel.ts";
import { dayAndClock } from "../../session/units.ts";
import type { Bodies, JournalBoot, JournalSource } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import { type Column, Rows } from "../Rows.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";

/** What is asked for; the rest of a question is the page's. */
type Filter = Pick<Bodies["journal.open"], "unit" | "priority" | "text" | "boot" | "kernel" | "file">;

const everything: Filter = { unit: "", priority: 7, text: "", boot: "", kernel: false, file: "" };
/** Lines of the first answer, and of each page before it. */
const pageLines = 500;
/** A question is asked when nobody has typed for this long. */
const restMs = 300;

interface Held {
  readonly entries: readonly LogEntry[];
  readonly first: number;
  readonly dropped: number;
}

const none: Held = { entries: [], first: 0, dropped: 0 };

/** See the file's comment. */
export function Pane({ session, view, active, target }: PaneProps): ReactNode {
  const [log] = useState(() => new JournalLog());
  const [held, setHeld] = useState(none);
  const [filter, setFilter] = useState<Filter>(() => ({ ...everything, unit: target?.text ?? "" }));
  const [source, setSource] = useState<JournalSource | null>(null);
  const [following, setFollowing] = useState(true);
  const [chosen, setChosen] = useState<LogEntry | null>(null);
  const follows = useRef(true);
  const asked = useRef(false);
  const draw = useDraw(() => setHeld({ entries: log.entries, first: log.first, dropped: log.dropped }));

  const follow = useCallback((on: boolean) => {
    follows.current = on;
    setFollowing(on);
  }, []);
  const ask = (c: ToolChannel, f: Filter) => {
    const query = log.begin();
    asked.current = false;
    setHeld(none);
    setChosen(null);
    follow(true);
    c.send(encode("journal.open", { ...f, query, since_ms: 0, until_ms: 0, count: pageLines, follow: true }));
  };

  const { state, channel, again } = useTool({
    session,
    view,
    name: "journal",
    needs: "diagnostics",
    wanted: active,
    opened: (c) => ask(c, filter),
    message: (m, c) => {
      const j = readMessage(decodeJournal, m);
      if (j?.type === "journal.source" && j.body.query === log.query) setSource(j.body);
      if (j?.type !== "journal.lines") return;
      log.take(j.body, follows.current);
      if (j.body.back) asked.current = false;
      // Acknowledged once it is drawn: a page that cannot keep up makes the device wait, and count.
      draw(() => c.send(encode("journal.ack", { seq: j.body.seq })));
    },
  });

  const change = useRested((f: Filter) => {
    if (channel !== null) ask(channel, f);
  });
  const set = (part: Partial<Filter>) => {
    const next = { ...filter, ...part };
    setFilter(next);
    change(next);
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new wish is a new question, nothing else is
  useEffect(() => {
    if (target !== null && target.text !== filter.unit) set({ ...everything, unit: target.text });
  }, [target?.serial]);

  const more = () => {
    if (asked.current || log.atBegin || channel === null || held.entries.length === 0) return;
    asked.current = true;
    channel.send(encode("journal.more", { query: log.query, count: pageLines }));
  };
  const left = (away: boolean) => {
    if (away === follows.current) follow(!away);
  };

  return (
    <>
      <Ended state={state} again={again} />
      <Bar filter={filter} set={set} source={source} />
      <div className="hv-bar">
        <button
          type="button"
          className="hv-button"
          aria-pressed={following}
          onClick={() => follow(!following)}
        >
          {following ? "Following" : "Follow the newest"}
        </button>
        <p className="hv-said" role="status">
          {held.entries.length === 0 ? "" : `${held.entries.length} lines`}
          {held.dropped > 0 &&
            `; ${held.dropped} lines were not shown, as they came faster than they could be carried`}
        </p>
        {source?.message ? <p className="hv-said">{source.message}</p> : null}
      </div>
      <Rows
        label="Lines of the log"
        columns={columns}
        rows={held.entries}
        first={held.first}
        keyOf={(e) => e.serial}
        chosen={chosen?.serial ?? null}
        choose={setChosen}
        mark={markOf}
        following={following}
        left={left}
        atTop={more}
        empty={state.kind === "open" && source !== null ? "No line fits." : "Reading the log…"}
      />
      {chosen !== null && chosen.missing === 0 && (
        <Line entry={chosen} close={() => setChosen(null)} only={(unit) => set({ unit })} />
      )}
    </>
  );
}

function Bar(props: {
  readonly filter: Filter;
  readonly set: (part: Partial<Filter>) => void;
  readonly source: JournalSource | null;
}): ReactNode {
  const { filter, set, source } = props;
  const id = useId();
  return (
    <div className="hv-bar">
      <input
        className="hv-input-text"
        type="search"
        aria-label="Search the log"
        placeholder="Text in a line"
        maxLength={256}
        value={filter.text}
        onChange={(e) => set({ text: e.target.value })}
      />
      <input
        className="hv-input-text"
        aria-label="Service"
        placeholder="Service"
        list={id}
        maxLength={256}
        value={filter.unit}
        onChange={(e) => set({ unit: e.target.value.replace(/[^\w.@:\\+-]/g, "").replace(/^[-.]+/, "") })}
      />
      <datalist id={id}>
        {(source?.units ?? []).slice(0, 500).map((u) => (
          <option key={u} value={u} />
        ))}
      </datalist>
      <select
        className="hv-select"
        aria-label="Severity"
        value={filter.priority}
        onChange={(e) => set({ priority: Number(e.target.value) })}
      >
        {severities.map(([n, label]) => (
          <option key={n} value={n}>
            {label}
          </option>
        ))}
      </select>
      {(source?.boots ?? []).length > 1 && (
        <select
          className="hv-select"
          aria-label="Start of the device"
          value={filter.boot}
          onChange={(e) => set({ boot: e.target.value })}
        >
          <option value="">All starts</option>
          {(source?.boots ?? []).map((b, i) => (
            <option key={b.id} value={b.id}>
              {bootWords(b, i)}
            </option>
          ))}
        </select>
      )}
      {(source?.files ?? []).length > 0 && (
        <select
          className="hv-select"
          aria-label="File"
          value={filter.file}
          onChange={(e) => set({ file: e.target.value })}
        >
          <option value="">{source?.kind === "journal" ? "Journal" : "Main log"}</option>
          {(source?.files ?? []).map((f) => (
            <option key={f} value={f}>
              {f}
            </option>
          ))}
        </select>
      )}
      <button
        type="button"
        className="hv-button"
        aria-pressed={filter.kernel}
        onClick={() => set({ kernel: !filter.kernel })}
      >
        Kernel only
      </button>
    </div>
  );
}

const severities: readonly (readonly [number, string])[] = [
  [7, "Everything"],
  [6, "Information and worse"],
  [4, "Warnings and errors"],
  [3, "Errors"],
  [2, "Critical"],
];

const bootWords = (b: JournalBoot, i: number) =>
  `${i === 0 ? "This start" : `${i} before`}: ${dayAndClock(b.first_ms)}`;

const columns: readonly Column<LogEntry>[] = [
  {
    id: "time",
    label: "Time",
    width: "11.5em",
    cell: (e) => (e.missing > 0 || e.line.time_ms === 0 ? "" : dayAndClock(e.line.time_ms)),
  },
  { id: "unit", label: "Service", width: "10em", cell: (e) => e.line.unit },
  {
    id: "text",
    label: "Line",
    width: "minmax(16em, 1fr)",
    cell: (e) =>
      e.missing > 0
        ? `… ${e.missing} lines are not shown here …`
        : e.line.text.slice(0, 500).replaceAll("\n", " ⏎ "),
  },
];

const markOf = (e: LogEntry) =>
  e.missing > 0 ? "hv-soft" : e.line.priority <= 3 ? "hv-bad" : e.line.priority === 4 ? "hv-warn" : "";

function Line(props: {
  readonly entry: LogEntry;
  readonly close: () => void;
  readonly only: (unit: string) => void;
}): ReactNode {
  const { line } = props.entry;
  return (
    <section className="hv-details" aria-label="Chosen line">
      <div className="hv-bar">
        <span className="hv-grow">
          {line.unit}
          {line.pid > 0 && ` [${line.pid}]`} {line.time_ms > 0 && dayAndClock(line.time_ms)}
        </span>
        {line.unit !== "" && (
          <button type="button" className="hv-button" onClick={() => props.only(line.unit)}>
            Only {line.unit}
          </button>
        )}
        <button type="button" className="hv-button" onClick={props.close}>
          Close
        </button>
      </div>
      <pre className="hv-log">{line.text}</pre>
      {line.cut > 0 && <p className="hv-soft">{line.cut} more bytes of this line were left on the device.</p>}
    </section>
  );
}

/** Draws at most once a frame, and then does what was to be done after drawing. */
function useDraw(draw: () => void): (then: () => void) => void {
  const due = useRef(0);
  const after = useRef<(() => void)[]>([]);
  const now = useRef(draw);
  now.current = draw;
  useEffect(() => () => cancelAnimationFrame(due.current), []);
  return useCallback((then) => {
    after.current.push(then);
    if (due.current !== 0) return;
    due.current = requestAnimationFrame(() => {
      due.current = 0;
      const todo = after.current;
      after.current = [];
      now.current();
      for (const t of todo) t();
    });
  }, []);
}

/** Calls back once nothing new has come for a moment. */
function useRested<T>(call: (v: T) => void): (v: T) => void {
  const timer = useRef<number | undefined>(undefined);
  const now = useRef(call);
  now.current = call;
  useEffect(() => () => clearTimeout(timer.current), []);
  return useCallback((v) => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => now.current(v), restMs);
  }, []);
}
