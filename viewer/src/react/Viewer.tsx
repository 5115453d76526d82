/** The remote screen with its toolbar, meter and overlays, filling its parent. */
import { type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { saveFile } from "../browser/save.ts";
import type { Session } from "../browser/session.ts";
import type { GatewaySocket } from "../browser/socket.ts";
import { Desk, type OwnAction } from "../desk/desk.ts";
import { platformOf } from "../input/keyboard.ts";
import { type Framing, wholePicture } from "../screen/geometry.ts";
import { isInControl, isWithoutPicture } from "../session/state.ts";
import type { Capability } from "../session/wire.gen.ts";
import { KeyboardHelp, PasteDialog } from "./Dialogs.tsx";
import { Dock, useNarrow } from "./Dock.tsx";
import { useFullscreen } from "./fullscreen.ts";
import { Notices } from "./Notices.tsx";
import { LiveStatus, Overlay } from "./Overlay.tsx";
import { useSession, useView } from "./session.ts";
import { Toolbar } from "./Toolbar.tsx";
import { TouchKeys } from "./TouchKeys.tsx";
import { tools } from "./tools.ts";
import { useDock } from "./useDock.ts";
import { useDrop } from "./useDrop.ts";
import "./viewer.css";

/** What a <Viewer> is given. */
export interface ViewerProps {
  readonly socket: GatewaySocket;
  readonly sessionId: string;
  readonly deviceName: string;
  /** How this operator is called; the screenshot's name and the page's title may use it. */
  readonly operatorName: string;
  /** A session begun by `startSession` at the click; without it the viewer joins by itself. */
  readonly preconnected?: Session | undefined;
  /** Leave the picture; the session goes on. */
  readonly onLeave: () => void;
  /** End the session for everybody: POST /api/sessions/{id}/end. */
  readonly onEnd: () => Promise<void> | void;
  /** Connect anew after the session is over; no button without it. */
  readonly onAgain?: (() => void) | undefined;
  /** Ask the person at the device for more: POST /api/sessions/{id}/ask. */
  readonly askCapabilities?: ((wanted: readonly Capability[]) => Promise<void> | void) | undefined;
  /** Never sends input, whatever is granted. */
  readonly viewOnly?: boolean | undefined;
  /** Only tools were asked for, and no picture; what is granted counts once it is known. */
  readonly withoutPicture?: boolean | undefined;
  /** The tool that is open from the start; see tools.ts for the ids. */
  readonly tool?: string | undefined;
  /** Another tool is seen now, or none: the page's address may keep it. */
  readonly onTool?: ((id: string | null) => void) | undefined;
}

type Open = "help" | "paste" | null;

const isCoarse = () => matchMedia("(pointer: coarse)").matches;

/** See the file's comment. */
export function Viewer(props: ViewerProps): ReactNode {
  const session = useSession(props);
  const view = useView(session);
  const root = useRef<HTMLDivElement>(null);
  const toolbar = useRef<HTMLDivElement>(null);
  const room = useRef<HTMLDivElement>(null);
  const dock = useDock(props.tool, props.onTool);
  const drop = useDrop(session, view, () => dock.show("files"));
  const [full, toggleFull] = useFullscreen(root);
  const [open, setOpen] = useState<Open>(null);
  const [viewOnly, setViewOnly] = useState(props.viewOnly ?? false);
  const [framing, setFraming] = useState<Framing>(wholePicture);
  const [waiting, setWaiting] = useState<string | null>(null);
  const [desk, setDesk] = useState<Desk | null>(null);
  const [touch] = useState(isCoarse);
  const { onEnd, onLeave, askCapabilities, deviceName } = props;

  useEffect(() => {
    if (desk !== null) desk.viewOnly = viewOnly || (props.viewOnly ?? false);
  }, [desk, viewOnly, props.viewOnly]);

  const screenshot = useCallback(async () => {
    const png = await desk?.screenshot();
    if (png) saveFile(png, `${deviceName} ${new Date().toISOString().replaceAll(":", "-").slice(0, 19)}.png`);
    desk?.focus();
  }, [desk, deviceName]);

  const act = useCallback(
    (action: OwnAction) => {
      switch (action) {
        case "fullscreen":
          toggleFull();
          break;
        case "toolbar":
          toolbar.current?.querySelector<HTMLButtonElement>("button:not(:disabled)")?.focus();
          break;
        case "tools":
          root.current?.querySelector<HTMLElement>(".hv-tab[aria-selected=true]")?.focus();
          break;
        case "help":
        case "paste":
          setOpen(action);
          break;
        case "screenshot":
          void screenshot();
          break;
        case "fit":
        case "actual":
          if (desk !== null) desk.scaling = action;
          break;
      }
    },
    [desk, screenshot, toggleFull],
  );

  useEffect(() => {
    if (desk === null) return;
    const offs = [desk.on("framing", setFraming), desk.on("clipboard", setWaiting), desk.on("action", act)];
    return () => {
      for (const off of offs) off();
    };
  }, [desk, act]);

  const actions = useMemo(
    () => ({
      fullscreen: toggleFull,
      screenshot: () => void screenshot(),
      help: () => setOpen("help"),
      paste: () => setOpen("paste"),
      leave: onLeave,
      end: () => void failing(session, onEnd),
      ask:
        askCapabilities &&
        ((wanted: readonly Capability[]) => void failing(session, () => askCapabilities(wanted))),
    }),
    [toggleFull, screenshot, onLeave, onEnd, askCapabilities, session],
  );

  const focusDesk = useCallback(() => desk?.focus(), [desk]);
  const close = useCallback(() => {
    setOpen(null);
    desk?.focus();
  }, [desk]);

  const platform = platformOf(navigator);
  const alone = isWithoutPicture(view) || (props.withoutPicture === true && view.granted.length === 0);
  const { state: docked } = dock;
  const narrow = useNarrow(room);
  const under = docked.open.length > 0 && (narrow || docked.side === "bottom");
  return (
    <div ref={root} className={full ? "hv hv-full" : "hv"}>
      <Toolbar
        ref={toolbar}
        session={session}
        desk={desk}
        view={view}
        framing={framing}
        viewOnly={viewOnly}
        setViewOnly={setViewOnly}
        full={full}
        dock={dock}
        alone={alone}
        actions={actions}
      />
      <div ref={room} className={under ? "hv-work hv-work-bottom" : "hv-work"}>
        <div className={alone && docked.open.length > 0 ? "hv-stage hv-stage-over" : "hv-stage"} {...drop.on}>
          {alone ? (
            docked.open.length === 0 && <Launcher show={dock.show} />
          ) : (
            <Stage session={session} ready={setDesk} />
          )}
          {drop.over && (
            <p className="hv-drop">
              {view.may.includes("files")
                ? `Drop files here to send them to ${deviceName}`
                : "This session does not have the right to files"}
            </p>
          )}
          <Overlay view={view} leave={onLeave} again={props.onAgain} />
          <Notices session={session} desk={desk} view={view} waiting={waiting} />
        </div>
        <Dock
          session={session}
          view={view}
          dock={dock}
          room={room}
          narrow={narrow}
          alone={alone}
          ask={actions.ask ?? null}
          left={focusDesk}
        />
      </div>
      {touch && desk !== null && <TouchKeys desk={desk} disabled={!isInControl(view) || viewOnly} />}
      <LiveStatus view={view} />
      {open === "help" && (
        <KeyboardHelp
          close={close}
          command={
            platform === "mac" && desk !== null
              ? {
                  asControl: desk.keyboard.commandAsControl,
                  set: (on) => {
                    desk.keyboard.commandAsControl = on;
                  },
                }
              : null
          }
        />
      )}
      {open === "paste" && desk !== null && <PasteDialog desk={desk} close={close} />}
    </div>
  );
}

/** A session without a picture: the tools to choose from. */
function Launcher({ show }: { readonly show: (id: string) => void }): ReactNode {
  return (
    <div className="hv-launcher">
      <p>This session has no picture. Choose a tool.</p>
      <div className="hv-choices">
        {tools.map((t) => (
          <button key={t.id} type="button" className="hv-button" onClick={() => show(t.id)}>
            {t.label}
          </button>
        ))}
      </div>
    </div>
  );
}

/** The elements of the desk; React makes them and never touches them again. */
function Stage(props: { readonly session: Session; readonly ready: (d: Desk | null) => void }): ReactNode {
  const { session, ready } = props;
  const view = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const cursor = useRef<HTMLCanvasElement>(null);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (!view.current || !video.current || !cursor.current || !field.current) return;
    const elements = {
      view: view.current,
      video: video.current,
      cursor: cursor.current,
      field: field.current,
    };
    const desk = new Desk(session, elements, platformOf(navigator));
    ready(desk);
    if (!isCoarse()) desk.focus();
    return () => {
      desk.close();
      ready(null);
    };
  }, [session, ready]);
  return (
    <div ref={view} className="hv-view" data-testid="remote-screen">
      <video
        ref={video}
        className="hv-video"
        autoPlay
        muted
        playsInline
        disablePictureInPicture
        tabIndex={-1}
      />
      <canvas ref={cursor} className="hv-cursor" hidden />
      <textarea
        ref={field}
        className="hv-input"
        aria-label="Keyboard of the remote screen"
        autoCapitalize="off"
        autoComplete="off"
        autoCorrect="off"
        spellCheck={false}
      />
    </div>
  );
}

/** Does what may fail and says so to the operator. */
async function failing(session: Session, run: () => Promise<void> | void): Promise<void> {
  try {
    await run();
  } catch (cause) {
    session.notice("", cause instanceof Error ? cause.message : "That did not work.");
  }
}
