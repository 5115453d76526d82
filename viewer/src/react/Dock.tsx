/** The tools beside or under the picture: tabs, the edge that is dragged, and the pane that is shown. */
import {
  type ComponentType,
  type KeyboardEvent,
  type PointerEvent,
  type ReactNode,
  type RefObject,
  useEffect,
  useId,
  useRef,
  useState,
} from "react";
import type { Session } from "../browser/session.ts";
import type { SessionView } from "../session/state.ts";
import type { Capability } from "../session/wire.gen.ts";
import { Icon } from "./icons.tsx";
import { type PaneProps, rightWords, type ToolEntry, toolOf } from "./tools.ts";
import { type DockControl, type DockSide, leastSize, mostSize } from "./useDock.ts";
import "./dock.css";

interface DockProps {
  readonly session: Session;
  readonly view: SessionView;
  readonly dock: DockControl;
  /** What holds picture and dock; it is measured when the edge is dragged. */
  readonly room: RefObject<HTMLElement | null>;
  /** There is no room for two things side by side. */
  readonly narrow: boolean;
  /** There is no picture: the tools have all the room. */
  readonly alone: boolean;
  readonly ask: ((wanted: readonly Capability[]) => void) | null;
  /** The tools were put away: the picture takes the keyboard back. */
  readonly left: () => void;
}

/** Under this width there is no room for two things side by side, in CSS pixels. */
const narrowPx = 760;

/** See the file's comment. Nothing when no tool is open. */
export function Dock(props: DockProps): ReactNode {
  const { dock, room, alone, narrow } = props;
  const { open, shown, hidden, size } = dock.state;
  const id = useId();
  const side: DockSide = narrow ? "bottom" : dock.state.side;
  if (open.length === 0) return null;
  const put = () => {
    dock.hide(true);
    props.left();
  };
  return (
    <>
      {!alone && !hidden && <Edge side={side} size={size} room={room} place={dock.place} />}
      <section
        className={`hv-dock hv-dock-${side}`}
        aria-label="Tools"
        hidden={hidden && !alone}
        style={alone ? { flex: "1 1 100%" } : { flex: `0 0 ${size * 100}%` }}
      >
        <header className="hv-dockhead">
          <Tabs dock={dock} id={id} />
          <span className="hv-dockbuttons">
            <Small label="Close this tool" icon="end" run={() => shown !== null && dock.close(shown)} />
            {!alone && !narrow && (
              <Small
                label={side === "right" ? "Move the tools under the picture" : "Move the tools to the right"}
                icon={side === "right" ? "below" : "beside"}
                run={() => dock.place(side === "right" ? "bottom" : "right", size)}
              />
            )}
            {!alone && <Small label="Hide the tools; they go on" icon="away" run={put} />}
          </span>
        </header>
        {open.map((tool) => {
          const entry = toolOf(tool);
          return entry === undefined ? null : (
            <div
              key={tool}
              role="tabpanel"
              className="hv-pane"
              id={`${id}-${tool}-panel`}
              aria-labelledby={`${id}-${tool}`}
              hidden={shown !== tool}
            >
              <Held {...props} entry={entry} active={shown === tool && (alone || !hidden)} />
            </div>
          );
        })}
      </section>
    </>
  );
}

function Small(props: {
  readonly label: string;
  readonly icon: Parameters<typeof Icon>[0]["name"];
  readonly run: () => void;
}): ReactNode {
  return (
    <button
      type="button"
      className="hv-button hv-small"
      aria-label={props.label}
      title={props.label}
      onClick={props.run}
    >
      <Icon name={props.icon} />
    </button>
  );
}

/** The open tools. Arrow keys move between them, Delete closes one. */
function Tabs({ dock, id }: { readonly dock: DockControl; readonly id: string }): ReactNode {
  const { open, shown } = dock.state;
  const list = useRef<HTMLDivElement>(null);
  const keys = (e: KeyboardEvent) => {
    const at = open.indexOf(shown ?? "");
    const to: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: open.length - 1,
    };
    if (e.key === "Delete" && shown !== null) dock.close(shown);
    else if (e.key in to) {
      const next = open[((to[e.key] ?? 0) + open.length) % open.length];
      if (next === undefined) return;
      dock.show(next);
      list.current?.querySelector<HTMLElement>(`[data-tool="${next}"]`)?.focus();
    } else return;
    e.preventDefault();
  };
  return (
    <div ref={list} className="hv-tabs" role="tablist" aria-label="Open tools" onKeyDown={keys}>
      {open.map((tool) => (
        <button
          key={tool}
          type="button"
          role="tab"
          className="hv-tab"
          data-tool={tool}
          id={`${id}-${tool}`}
          aria-controls={`${id}-${tool}-panel`}
          aria-selected={shown === tool}
          tabIndex={shown === tool ? 0 : -1}
          onClick={() => dock.show(tool)}
          onAuxClick={(e) => e.button === 1 && dock.close(tool)}
        >
          {toolOf(tool)?.label}
        </button>
      ))}
    </div>
  );
}

/** The edge between picture and dock: dragged, or moved with the arrow keys. */
function Edge(props: {
  readonly side: DockSide;
  readonly size: number;
  readonly room: RefObject<HTMLElement | null>;
  readonly place: (side: DockSide, size: number) => void;
}): ReactNode {
  const { side, size, room, place } = props;
  const drag = (e: PointerEvent<HTMLElement>) => {
    if (!e.currentTarget.hasPointerCapture(e.pointerId)) return;
    const box = room.current?.getBoundingClientRect();
    if (box === undefined) return;
    place(
      side,
      side === "right" ? (box.right - e.clientX) / box.width : (box.bottom - e.clientY) / box.height,
    );
  };
  const keys = (e: KeyboardEvent) => {
    const grow = side === "right" ? "ArrowLeft" : "ArrowUp";
    const shrink = side === "right" ? "ArrowRight" : "ArrowDown";
    const to: Record<string, number> = {
      [grow]: size + 0.05,
      [shrink]: size - 0.05,
      Home: leastSize,
      End: mostSize,
    };
    const next = to[e.key];
    if (next === undefined) return;
    place(side, next);
    e.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a separator that moves is not a line between texts
    <div
      className={`hv-edge hv-edge-${side}`}
      role="separator"
      tabIndex={0}
      aria-label="Size of the tools"
      aria-orientation={side === "right" ? "vertical" : "horizontal"}
      aria-valuenow={Math.round(size * 100)}
      aria-valuemin={leastSize * 100}
      aria-valuemax={mostSize * 100}
      onKeyDown={keys}
      onPointerDown={(e) => {
        e.currentTarget.setPointerCapture(e.pointerId);
        e.preventDefault();
      }}
      onPointerMove={drag}
    />
  );
}

/** One pane, once it may be: what is missing is said, and what stops stays to be read. */
function Held(props: DockProps & { readonly entry: ToolEntry; readonly active: boolean }): ReactNode {
  const { view, entry, dock, session, active, ask } = props;
  const allowed = view.may.includes(entry.needs);
  const [was, setWas] = useState(allowed);
  if (allowed && !was) setWas(true);
  const { Pane, failure, again } = usePane(entry, active && was);
  // Before the first status of the device nothing is granted yet, which is no refusal.
  const known = view.wasConnected && view.transport === "connected";
  return (
    <>
      {!allowed && known && <NotAllowed view={view} entry={entry} ask={ask} taken={was} />}
      {view.transport !== "connected" && view.wasConnected && (
        <p className="hv-banner" role="status">
          Connection lost. {entry.label} goes on when it is back.
        </p>
      )}
      {!was && !known && <p className="hv-empty">Connecting…</p>}
      {was && failure !== null && (
        <div className="hv-empty" role="alert">
          <p>
            {entry.label} could not be loaded: {failure}
          </p>
          <button type="button" className="hv-button hv-strong" onClick={again}>
            Try again
          </button>
        </div>
      )}
      {was && failure === null && Pane === null && <p className="hv-empty">Loading…</p>}
      {was && Pane !== null && (
        <Pane
          session={session}
          view={view}
          active={active}
          target={dock.state.targets[entry.id] ?? null}
          open={dock.show}
          ask={ask}
        />
      )}
    </>
  );
}

/** Says that a right is missing, and how to come by it. */
function NotAllowed(props: {
  readonly view: SessionView;
  readonly entry: ToolEntry;
  readonly ask: ((wanted: readonly Capability[]) => void) | null;
  /** It was there before. */
  readonly taken: boolean;
}): ReactNode {
  const { view, entry, ask, taken } = props;
  const right = rightWords[entry.needs];
  const askable = ask !== null && view.capabilities.includes(entry.needs);
  let why = `${entry.label} needs ${right}, which this session does not have.`;
  if (view.paused) why = `The person at ${view.deviceName} has paused the session; ${entry.label} rests.`;
  else if (taken) why = `${capital(right)} was taken back at ${view.deviceName}. ${entry.label} has stopped.`;
  else if (!view.capabilities.includes(entry.needs))
    why = `${entry.label} needs ${right}, which your role, or this device's group, does not allow.`;
  return (
    <div className={taken ? "hv-banner" : "hv-empty"} role="status">
      <p>{why}</p>
      {askable && !view.paused && (
        <button
          type="button"
          className="hv-button hv-strong"
          onClick={() => ask([...view.granted, entry.needs])}
        >
          Ask for {right}
        </button>
      )}
    </div>
  );
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

interface FetchedPane {
  readonly Pane: ComponentType<PaneProps> | null;
  readonly failure: string | null;
  readonly again: () => void;
}

/** Fetches a pane's code when it is first seen, and again when that failed and somebody asks. */
function usePane(entry: ToolEntry, seen: boolean): FetchedPane {
  const [Pane, setPane] = useState<ComponentType<PaneProps> | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [attempt, setAttempt] = useState(0);
  const wanted = seen && Pane === null;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt fetches again
  useEffect(() => {
    if (!wanted) return;
    let over = false;
    entry.load().then(
      (module) => !over && setPane(() => module.Pane),
      (cause: unknown) => !over && setFailure(cause instanceof Error ? cause.message : "no answer"),
    );
    return () => {
      over = true;
    };
  }, [entry, wanted, attempt]);
  const again = () => {
    setFailure(null);
    setAttempt((n) => n + 1);
  };
  return { Pane, failure, again };
}

/** Whether the room is too narrow for picture and tools side by side. */
export function useNarrow(room: RefObject<HTMLElement | null>): boolean {
  const [narrow, setNarrow] = useState(false);
  useEffect(() => {
    const element = room.current;
    if (element === null) return;
    const observer = new ResizeObserver(() => setNarrow(element.clientWidth < narrowPx));
    observer.observe(element);
    return () => observer.disconnect();
  }, [room]);
  return narrow;
}
