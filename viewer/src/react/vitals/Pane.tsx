/** The device's figures second by second, as graphs that go back an hour. */
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { saveFile } from "../../browser/save.ts";
import { encode } from "../../session/envelope.ts";
import { readMessage } from "../../session/toolchannel.ts";
import { clock, duration } from "../../session/units.ts";
import { VitalHistory } from "../../session/vitalhistory.ts";
import { decodeVitals } from "../../session/vitals.ts";
import type { VitalsParts } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";
import { Compare } from "./Compare.tsx";
import { Graph, type Window } from "./Graph.tsx";
import { graphsOf } from "./graphs.ts";
import { type KeptMoment, written } from "./moments.ts";
import "./vitals.css";

const minute = 60_000;
const widths = [1, 5, 15, 60].map((m) => m * minute);
/** The most moments that are kept to be compared. */
const mostMoments = 50;

/** See the file's comment. */
export function Pane({ session, view, active }: PaneProps): ReactNode {
  const [history] = useState(() => new VitalHistory());
  const [parts, setParts] = useState<VitalsParts | null>(null);
  const [newest, setNewest] = useState(0);
  const [width, setWidth] = useState(5 * minute);
  /** The end of what is looked at while paused; null follows the device. */
  const [paused, setPaused] = useState<number | null>(null);
  const [pointedMs, setPointedMs] = useState<number | null>(null);
  const [kept, setKept] = useState<readonly KeptMoment[]>([]);
  const [comparing, setComparing] = useState(false);
  const scheme = useScheme();
  const { state, channel, again } = useTool({
    session,
    view,
    name: "vitals",
    needs: "diagnostics",
    opened: (c) => c.send(encode("vitals.watch", { every_ms: 1000 })),
    message: (m) => {
      const v = readMessage(decodeVitals, m);
      if (v?.type === "vitals.parts") {
        history.take(v.body);
        setParts(v.body);
      } else if (v?.type === "vitals") {
        history.put(v.body);
        setNewest(v.body.time_ms);
      }
    },
  });

  const graphs = useMemo(() => (parts === null ? [] : graphsOf(parts)), [parts]);
  const end = paused ?? newest;
  const window = useMemo<Window>(() => ({ fromMs: end - width, toMs: end }), [end, width]);
  const moment = history.at(pointedMs ?? end);
  const pointed = useLast(setPointedMs);
  const keep = () => {
    const m = history.at(end);
    if (m === null) return;
    const one = { ...m, device: view.deviceName };
    setKept((all) => [...all, one].slice(-mostMoments));
    channel?.send(encode("vitals.keep", {}));
    session.notice("", `The figures of ${clock(m.timeMs)} are kept and noted in the session's record.`);
  };
  const save = (m: KeptMoment) =>
    saveFile(
      new Blob([written(m)], { type: "application/json" }),
      `${m.device} ${new Date(m.timeMs).toISOString().replaceAll(":", "-").slice(0, 19)}.json`,
    );

  if (parts === null) {
    return (
      <>
        <Ended state={state} again={again} />
        {state.kind !== "ended" && <p className="hv-empty">Waiting for the device's first figures…</p>}
      </>
    );
  }
  return (
    <>
      <Ended state={state} again={again} />
      <div className="hv-bar">
        <button
          type="button"
          className="hv-button"
          aria-pressed={paused !== null}
          onClick={() => setPaused(paused === null ? newest : null)}
        >
          {paused === null ? "Pause" : "Go on"}
        </button>
        <select
          className="hv-select"
          aria-label="How much time is shown"
          value={width}
          onChange={(e) => setWidth(Number(e.target.value))}
        >
          {widths.map((w) => (
            <option key={w} value={w}>
              {duration(w)}
            </option>
          ))}
        </select>
        <ScrollBack span={history.span} end={end} setEnd={setPaused} />
        <button type="button" className="hv-button" onClick={keep}>
          Snapshot
        </button>
        <button
          type="button"
          className="hv-button"
          aria-pressed={comparing}
          onClick={() => setComparing(!comparing)}
        >
          Compare
        </button>
        {kept.length > 0 && (
          <button
            type="button"
            className="hv-button"
            onClick={() => {
              const last = kept.at(-1);
              if (last !== undefined) save(last);
            }}
          >
            Save the snapshot
          </button>
        )}
      </div>
      <p className="hv-said hv-when" data-testid="vitals-time">
        {moment === null
          ? ""
          : `${paused === null && pointedMs === null ? "Now" : "At"} ${clock(moment.timeMs)}`}
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard */}
      <section className="hv-body" aria-label="Graphs" tabIndex={0}>
        {comparing && (
          <Compare
            graphs={graphs}
            kept={kept}
            now={nowOf(history, newest, view.deviceName)}
            add={(m) => setKept((all) => [...all, m].slice(-mostMoments))}
            save={save}
            close={() => setComparing(false)}
          />
        )}
        {active && (
          <div className="hv-graphs">
            {graphs.map((spec) => (
              <Graph
                key={spec.id}
                spec={spec}
                history={history}
                window={window}
                figures={moment?.figures ?? null}
                pointed={pointed}
                scheme={scheme}
              />
            ))}
          </div>
        )}
      </section>
    </>
  );
}

function nowOf(history: VitalHistory, newest: number, device: string): KeptMoment | null {
  const m = history.at(newest);
  return m === null ? null : { ...m, device };
}

/** Goes back in what is kept; at its right end the graphs follow the device again. */
function ScrollBack(props: {
  readonly span: readonly [number, number] | null;
  readonly end: number;
  readonly setEnd: (ms: number | null) => void;
}): ReactNode {
  const { span, end, setEnd } = props;
  if (span === null) return null;
  const [first, last] = span;
  return (
    <input
      className="hv-scrollback"
      type="range"
      aria-label="Go back in time"
      aria-valuetext={clock(end)}
      min={Math.min(0, Math.floor((first - last) / 1000))}
      max={0}
      step={1}
      value={Math.round((end - last) / 1000)}
      onChange={(e) => {
        const back = Number(e.target.value);
        setEnd(back === 0 ? null : last + back * 1000);
      }}
    />
  );
}

/** Passes on the last of what is said in one turn: every graph says where the pointer is. */
function useLast(set: (ms: number | null) => void): (ms: number | null) => void {
  const last = useRef<number | null>(null);
  const due = useRef(0);
  useEffect(() => () => cancelAnimationFrame(due.current), []);
  return useCallback(
    (ms) => {
      last.current = ms;
      cancelAnimationFrame(due.current);
      due.current = requestAnimationFrame(() => set(last.current));
    },
    [set],
  );
}

/** Changes whenever the page turns light or dark. */
function useScheme(): string {
  const [scheme, setScheme] = useState(schemeNow);
  useEffect(() => {
    const look = () => setScheme(schemeNow());
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const observer = new MutationObserver(look);
    observer.observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme"] });
    dark.addEventListener("change", look);
    return () => {
      observer.disconnect();
      dark.removeEventListener("change", look);
    };
  }, []);
  return scheme;
}

const schemeNow = () =>
  `${document.documentElement.dataset.mantineColorScheme ?? ""} ${matchMedia("(prefers-color-scheme: dark)").matches}`;
