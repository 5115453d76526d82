/** One terminal on the page: its screen, its channel, what is pasted into it, its links. */
import { type ReactNode, useEffect, useEffectEvent, useImperativeHandle, useRef, useState } from "react";
import type { Session } from "../../browser/session.ts";
import { encode } from "../../session/envelope.ts";
import type { SessionView } from "../../session/state.ts";
import type { TerminalBrief } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import { type ToolState, useTool } from "../useTool.ts";
import { Feed } from "./feed.ts";
import { LinkGuard, PasteGuard } from "./Guards.tsx";
import { mostPasted, type Paste, pageAddress, pasteOf } from "./paste.ts";
import { type Looks, makeXterm, setLooks, type Xterm } from "./xterm.ts";

/** What the pane can have a terminal do. */
export interface ScreenHandle {
  readonly focus: () => void;
  /** Goes to the next place of a text, or the one before. */
  readonly find: (text: string, back: boolean) => void;
  readonly endFind: () => void;
  readonly copy: () => void;
  readonly paste: () => void;
  /** Ends the terminal and what runs in it. */
  readonly end: () => void;
}

/** See the file's comment. */
export interface ScreenProps {
  readonly ref: React.Ref<ScreenHandle>;
  readonly session: Session;
  readonly view: SessionView;
  /** The terminal to take part in; null opens one. */
  readonly id: string | null;
  readonly root: boolean;
  readonly label: string;
  /** Whether it is the one that is looked at. */
  readonly shown: boolean;
  readonly looks: Looks;
  readonly opened: (t: TerminalBrief) => void;
  /** It is over: "" by an exit without fault. */
  readonly over: (why: string) => void;
  readonly rang: () => void;
  readonly found: (at: number, of: number) => void;
  readonly leave: () => void;
  readonly search: () => void;
  /** Opens another in its place. */
  readonly anew: () => void;
}

/** See the file's comment. */
export function Screen(props: ScreenProps): ReactNode {
  const { session, view, label, shown, looks } = props;
  const box = useRef<HTMLDivElement>(null);
  const x = useRef<Xterm | null>(null);
  const feed = useRef<Feed | null>(null);
  const id = useRef(props.id);
  const [over, setOver] = useState<string | null>(null);
  const [cut, setCut] = useState(false);
  const [paste, setPaste] = useState<Paste | null>(null);
  const [link, setLink] = useState<string | null>(null);
  const [flash, setFlash] = useState(false);

  const { state, again } = useTool({
    session,
    view,
    name: "terminal",
    needs: props.root ? "root" : "terminal",
    wanted: over === null,
    opened: (c) => {
      const t = x.current;
      if (t === null) return;
      const size = { cols: t.term.cols, rows: t.term.rows };
      feed.current?.stop();
      feed.current = new Feed(c, t.term, {
        opened: (brief) => {
          id.current = brief.id;
          props.opened(brief);
        },
        live: (isCut) => {
          setCut(isCut);
          fitNow();
        },
        exited: (code, message) => {
          feed.current?.stop();
          setOver(message);
          props.over(code === 0 ? "" : message);
        },
      });
      if (id.current === null) c.send(encode("terminal.open", { root: props.root, ...size }));
      else c.send(encode("terminal.attach", { id: id.current, ...size }));
    },
    message: (m) => feed.current?.take(m),
  });

  const fitNow = useEffectEvent(() => {
    const t = x.current;
    if (t === null || !shown) return;
    const size = t.fit.proposeDimensions();
    if (size === undefined || !(size.cols >= 2) || !(size.rows >= 1)) return;
    if (size.cols === t.term.cols && size.rows === t.term.rows) return;
    t.term.resize(size.cols, size.rows);
    if (feed.current?.live) feed.current.resize(size.cols, size.rows);
  });
  const pasted = useEffectEvent((raw: string) => {
    const p = pasteOf(raw);
    if (p === null) session.notice("", `That is too much to paste: ${mostPasted} characters are the most.`);
    else if (p.ask) setPaste(p);
    else x.current?.term.paste(p.text);
  });
  const clicked = useEffectEvent((address: string) => {
    const page = pageAddress(address);
    if (page === null) session.notice("", "Only addresses of web pages are opened from a terminal.");
    else setLink(page);
  });
  const rings = useEffectEvent(() => {
    setFlash(true);
    props.rang();
  });
  const pressed = useEffectEvent((e: KeyboardEvent): boolean => {
    if (e.type !== "keydown" || !e.ctrlKey || !e.shiftKey || e.altKey) return true;
    const act = { KeyC: copy, KeyF: props.search, KeyM: props.leave }[e.code];
    if (e.code === "KeyV") return false; // the browser pastes, which comes as an event
    if (act === undefined) return true;
    e.preventDefault();
    act();
    return false;
  });
  const found = useEffectEvent(props.found);
  const startLooks = useEffectEvent(() => looks);
  const copy = () => {
    const text = x.current?.term.getSelection() ?? "";
    if (text === "") return;
    navigator.clipboard.writeText(text).catch(() => {
      session.notice("", "The browser does not let this page write the clipboard.");
    });
  };

  useEffect(() => {
    const el = box.current;
    if (el === null) return;
    const made = makeXterm(startLooks(), (address) => clicked(address));
    const { term } = made;
    x.current = made;
    const keys = new TextEncoder();
    term.open(el);
    term.attachCustomKeyEventHandler((e) => pressed(e));
    term.onData((text) => feed.current?.type(keys.encode(text)));
    term.onBinary((text) => feed.current?.type(Uint8Array.from(text, (c) => c.charCodeAt(0) & 0xff)));
    term.onBell(() => rings());
    made.search.onDidChangeResults((r) => found(r.resultIndex, r.resultCount));
    const onPaste = (e: ClipboardEvent) => {
      e.preventDefault();
      e.stopPropagation();
      pasted(e.clipboardData?.getData("text/plain") ?? "");
    };
    el.addEventListener("paste", onPaste, true);
    const sized = new ResizeObserver(() => fitNow());
    sized.observe(el);
    fitNow();
    return () => {
      sized.disconnect();
      el.removeEventListener("paste", onPaste, true);
      feed.current?.stop();
      feed.current = null;
      x.current = null;
      term.dispose();
    };
  }, []);

  useEffect(() => {
    const t = x.current;
    if (t === null) return;
    setLooks(t.term, looks);
    fitNow();
  }, [looks]);
  useEffect(() => {
    if (!shown) return;
    fitNow();
    x.current?.term.focus();
  }, [shown]);
  useEffect(() => {
    if (!flash) return;
    const timer = setTimeout(() => setFlash(false), 200);
    return () => clearTimeout(timer);
  }, [flash]);

  useImperativeHandle(props.ref, () => ({
    focus: () => x.current?.term.focus(),
    find: (text, back) => {
      const { search } = x.current ?? {};
      const options = { decorations: marks };
      if (text === "") search?.clearDecorations();
      else if (back) search?.findPrevious(text, options);
      else search?.findNext(text, options);
    },
    endFind: () => {
      x.current?.search.clearDecorations();
      x.current?.term.focus();
    },
    copy,
    paste: () => {
      navigator.clipboard.readText().then(pasted, () => {
        session.notice("", "The browser does not let this page read the clipboard; paste with the keyboard.");
      });
    },
    end: () => feed.current?.end(),
  }));

  const focus = () => x.current?.term.focus();
  const allowed = !props.root || view.may.includes("root") || !view.may.includes("terminal");
  return (
    <div className="hv-term" hidden={!shown}>
      {over === null && allowed && (
        <Ended
          state={state}
          again={() => {
            // What the device could not open or find, it will not find again.
            if (state.kind === "ended" && state.end.code === "internal") id.current = null;
            again();
          }}
        />
      )}
      {over !== null && (
        <div className="hv-banner" role="status">
          <p>{over}</p>
          <button type="button" className="hv-button hv-strong" onClick={props.anew}>
            Open a new one
          </button>
        </div>
      )}
      {over === null && view.transport === "connected" && <Waiting state={state} allowed={allowed} />}
      {cut && <p className="hv-termsaid">Older lines are not kept.</p>}
      <section
        ref={box}
        className={flash ? "hv-xterm hv-rings" : "hv-xterm"}
        aria-label={`${label}. Control+Shift+M leaves it.`}
      />
      {paste !== null && (
        <PasteGuard
          paste={paste}
          close={(yes) => {
            setPaste(null);
            focus();
            if (yes) x.current?.term.paste(paste.text);
          }}
        />
      )}
      {link !== null && (
        <LinkGuard
          address={link}
          close={() => {
            setLink(null);
            focus();
          }}
        />
      )}
    </div>
  );
}

/** Why nothing can be typed yet; the dock itself says what a lost connection is, and a missing right. */
function Waiting(props: { readonly state: ToolState; readonly allowed: boolean }): ReactNode {
  const { state, allowed } = props;
  if (!allowed)
    return (
      <p className="hv-banner" role="status">
        Administrator rights were taken back. What runs here goes on until the session ends, unseen.
      </p>
    );
  if (state.kind !== "opening") return null;
  return (
    <p className="hv-termsaid" role="status">
      Opening the terminal…
    </p>
  );
}

/** How what was searched for is marked; colours as xterm.js wants them. */
const marks = {
  matchBackground: "#6b5a00",
  matchOverviewRuler: "#b39700",
  activeMatchBackground: "#a34700",
  activeMatchColorOverviewRuler: "#d96a1a",
};
