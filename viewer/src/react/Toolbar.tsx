/** The commands over the picture. */
import { type ReactNode, type Ref, useState } from "react";
import type { Session } from "../browser/session.ts";
import type { Desk } from "../desk/desk.ts";
import type { Framing } from "../screen/geometry.ts";
import {
  holdsControl,
  isInControl,
  mayClipboard,
  phaseOf,
  type SessionView,
  type Tier,
  tiers,
} from "../session/state.ts";
import type { Capability } from "../session/wire.gen.ts";
import { Icon, type IconName } from "./icons.tsx";
import { Menu, type MenuItem } from "./Menu.tsx";
import { Meter } from "./Meter.tsx";
import { rightWords, tools } from "./tools.ts";
import type { DockControl } from "./useDock.ts";

/** What the toolbar does beyond what session and desk do themselves. */
export interface ToolbarActions {
  readonly fullscreen: () => void;
  readonly screenshot: () => void;
  readonly help: () => void;
  readonly paste: () => void;
  readonly leave: () => void;
  readonly end: () => void;
  readonly ask?: ((wanted: readonly Capability[]) => void) | undefined;
}

interface ToolbarProps {
  readonly ref?: Ref<HTMLDivElement>;
  readonly session: Session;
  readonly desk: Desk | null;
  readonly view: SessionView;
  readonly framing: Framing;
  readonly viewOnly: boolean;
  readonly setViewOnly: (on: boolean) => void;
  readonly full: boolean;
  readonly dock: DockControl;
  /** There is no picture in this session: nothing that is about it is shown. */
  readonly alone: boolean;
  readonly actions: ToolbarActions;
}

/** Keys a browser keeps to itself, by what is written on them. */
const specialKeys: readonly (readonly [label: string, codes: readonly string[]])[] = [
  ["Ctrl+Alt+Del", ["ControlLeft", "AltLeft", "Delete"]],
  ["Super (Windows key)", ["MetaLeft"]],
  ["Alt+Tab", ["AltLeft", "Tab"]],
  ["Alt+F4", ["AltLeft", "F4"]],
  ["Print Screen", ["PrintScreen"]],
  ["Ctrl+W", ["ControlLeft", "KeyW"]],
  ["Ctrl+T", ["ControlLeft", "KeyT"]],
  ["Escape", ["Escape"]],
  ["F11", ["F11"]],
  ["Ctrl+Alt+T", ["ControlLeft", "AltLeft", "KeyT"]],
];

/** See the file's comment. */
export function Toolbar(props: ToolbarProps): ReactNode {
  const { session, view, actions } = props;
  return (
    <div ref={props.ref} className="hv-toolbar" role="toolbar" aria-label="Remote screen">
      <span className="hv-device" title={view.deviceName}>
        {view.deviceName}
      </span>
      {!props.alone && <PictureTools {...props} />}
      <Menu
        label="Tools"
        icon="tools"
        text="Tools"
        disabled={phaseOf(view) === "over"}
        items={toolItems(props)}
      />
      <Meter session={session} />
      <Tool
        label={props.full ? "Leave full screen" : "Full screen"}
        icon="full"
        pressed={props.full}
        run={actions.fullscreen}
      />
      {!props.alone && <Tool label="Keyboard help" icon="help" run={actions.help} />}
      {phaseOf(view) !== "over" && <EndButton actions={actions} />}
    </div>
  );
}

/** What is about the picture and the input to it. */
function PictureTools(props: ToolbarProps): ReactNode {
  const { session, desk, view, actions } = props;
  const live = phaseOf(view) === "live";
  const active = isInControl(view) && !props.viewOnly;
  const then = (run: () => void) => () => {
    run();
    desk?.focus();
  };
  return (
    <>
      <ControlButton {...props} />
      {view.monitors.length > 1 && (
        <Menu label="Monitor" icon="monitor" disabled={!live} items={monitorItems(session, view, then)} />
      )}
      <Menu label="Size of the picture" icon="fit" items={sizeItems(desk, props.framing, then)} />
      <Menu
        label={`Quality of the picture: ${tierNames[view.tier].toLowerCase()}`}
        icon="quality"
        items={tierItems(session, view, then)}
      />
      <Menu label="Send keys" icon="keys" disabled={!active} items={keyItems(desk, actions, then)} />
      <Menu
        label="Clipboard"
        icon="clipboard"
        disabled={!live}
        items={clipboardItems(session, desk, view, active, actions, then)}
      />
      <Tool label="Save a screenshot" icon="camera" disabled={!view.hasPicture} run={actions.screenshot} />
      <Tool
        label="View only"
        icon="eye"
        pressed={props.viewOnly}
        disabled={!live}
        run={() => props.setViewOnly(!props.viewOnly)}
      />
    </>
  );
}

/** The tools; one that is open is shown again, one without its right says so when it opens. */
function toolItems({ view, dock }: ToolbarProps): readonly MenuItem[] {
  return tools.map((t) => ({
    label: t.label,
    checked: dock.state.open.includes(t.id),
    ...(view.transport === "connected" && !view.may.includes(t.needs)
      ? { hint: `needs ${rightWords[t.needs]}` }
      : {}),
    run: () => dock.show(t.id),
  }));
}

function Tool(props: {
  readonly label: string;
  readonly icon: IconName;
  readonly run: () => void;
  readonly pressed?: boolean;
  readonly disabled?: boolean;
}): ReactNode {
  return (
    <button
      type="button"
      className="hv-button"
      aria-label={props.label}
      title={props.label}
      aria-pressed={props.pressed}
      disabled={props.disabled}
      onClick={props.run}
    >
      <Icon name={props.icon} />
    </button>
  );
}

/** Says who holds control, and does the next thing about it. */
function ControlButton({ session, desk, view, viewOnly, actions }: ToolbarProps): ReactNode {
  const may = view.may.includes("control");
  const mine = holdsControl(view); // kept while the connection is away: it comes back to whoever had it
  const connected = view.transport === "connected";
  const askable =
    !view.granted.includes("control") && view.capabilities.includes("control") && actions.ask !== undefined;
  let text = "No control";
  let more = "it is not granted";
  let run: (() => void) | null = null;
  if (mine) {
    text = viewOnly ? "Control rests" : "In control";
    more = "give it up";
    run = () => session.dropControl();
  } else if (may && view.asking) {
    text = "Asked for control";
    more = "withdraw";
    run = () => session.dropControl();
  } else if (may) {
    text = view.control === "" ? "Take control" : "Ask for control";
    more = view.control === "" ? "nobody has it" : `${nameOf(view, view.control)} has it`;
    run = () => {
      session.askControl();
      desk?.focus();
    };
  } else if (askable) {
    text = "Ask for control";
    more = "the person at the device decides";
    run = () => actions.ask?.([...view.granted, "control"]);
  }
  const label = `${text}: ${more}`;
  return (
    <button
      type="button"
      className={mine ? "hv-button hv-strong" : "hv-button"}
      aria-label={label}
      title={label}
      disabled={!connected || run === null}
      onClick={() => run?.()}
    >
      <Icon name={mine ? "hand" : view.viewers.length > 1 ? "people" : "hand"} />
      <span className="hv-text">{text}</span>
    </button>
  );
}

function EndButton({ actions }: { readonly actions: ToolbarActions }): ReactNode {
  const [sure, setSure] = useState(false);
  if (!sure) {
    return (
      <div className="hv-ends">
        <button
          type="button"
          className="hv-button"
          aria-label="Leave; the session goes on"
          title="Leave; the session goes on"
          onClick={actions.leave}
        >
          <Icon name="leave" />
          <span className="hv-text">Leave</span>
        </button>
        <button
          type="button"
          className="hv-button hv-danger"
          aria-label="End session"
          title="End the session for everybody"
          onClick={() => setSure(true)}
        >
          <Icon name="end" />
          <span className="hv-text">End session</span>
        </button>
      </div>
    );
  }
  return (
    <div className="hv-ends">
      <button
        type="button"
        className="hv-button hv-danger"
        // biome-ignore lint/a11y/noAutofocus: it takes the place of the button that was pressed
        autoFocus
        onClick={actions.end}
        onBlur={() => setSure(false)}
        onKeyDown={(e) => {
          if (e.key === "Escape") setSure(false);
        }}
      >
        <span>End for everybody?</span>
      </button>
    </div>
  );
}

type Then = (run: () => void) => () => void;

function monitorItems(session: Session, view: SessionView, then: Then): readonly MenuItem[] {
  const one = view.monitors.map((m) => ({
    label: m.primary ? `${m.name || `Monitor ${m.id}`} (main)` : m.name || `Monitor ${m.id}`,
    hint: `${m.width} × ${m.height}`,
    checked: view.selected === m.id,
    run: then(() => session.selectMonitor(m.id)),
  }));
  return [
    ...one,
    { label: "All monitors", checked: view.selected === 0, run: then(() => session.selectMonitor(0)) },
  ];
}

function sizeItems(desk: Desk | null, framing: Framing, then: Then): readonly MenuItem[] {
  const scale = (s: "fit" | "actual") =>
    then(() => {
      if (desk !== null) desk.scaling = s;
    });
  return [
    { label: "Fit to the window", checked: framing.scaling === "fit", run: scale("fit") },
    { label: "Pixel for pixel (1:1)", checked: framing.scaling === "actual", run: scale("actual") },
    { label: "Zoom in", run: then(() => desk?.zoomBy(1.25)) },
    { label: "Zoom out", run: then(() => desk?.zoomBy(0.8)) },
  ];
}

const tierNames: Readonly<Record<Tier, string>> = {
  auto: "Automatic",
  sharp: "Sharp text first",
  fast: "Smooth motion first",
  saver: "Few data",
};

function tierItems(session: Session, view: SessionView, then: Then): readonly MenuItem[] {
  return tiers.map((tier) => ({
    label: tierNames[tier],
    checked: view.tier === tier,
    run: then(() => session.chooseTier(tier)),
  }));
}

function keyItems(desk: Desk | null, actions: ToolbarActions, then: Then): readonly MenuItem[] {
  return [
    ...specialKeys.map(([label, codes]) => ({ label, run: then(() => desk?.pressKeys(codes)) })),
    { label: "Paste as keystrokes…", run: actions.paste },
  ];
}

function clipboardItems(
  session: Session,
  desk: Desk | null,
  view: SessionView,
  active: boolean,
  actions: ToolbarActions,
  then: Then,
): readonly MenuItem[] {
  const allowed = mayClipboard(view);
  const send = async () => {
    const wrong = await desk?.clipboard.sendNow();
    session.notice("", wrong || "Your clipboard is now on the device.");
  };
  const asks =
    !view.granted.includes("clipboard") &&
    view.capabilities.includes("clipboard") &&
    actions.ask !== undefined;
  return [
    { label: "Send my clipboard to the device", disabled: !allowed, run: then(() => void send()) },
    { label: "Paste as keystrokes…", disabled: !active, run: actions.paste },
    ...(asks
      ? [{ label: "Ask for the clipboard", run: () => actions.ask?.([...view.granted, "clipboard"]) }]
      : []),
  ];
}

/** Returns how a viewer is called. */
export function nameOf(view: SessionView, peer: string): string {
  return view.viewers.find((v) => v.peer === peer)?.name || "another operator";
}
