/** Terminals of the device: several at once, each of which goes on while nobody looks. */
import { type ReactNode, useEffect, useReducer, useRef, useState } from "react";
import { encode } from "../../session/envelope.ts";
import { decodeTerminal, maxTerminals } from "../../session/terminal.ts";
import { readMessage } from "../../session/toolchannel.ts";
import type { TerminalListed } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";
import { Screen, type ScreenHandle } from "./Screen.tsx";
import { leastFont, mostFont, type TerminalSettings, useDark, useSettings } from "./settings.ts";
import { changed, labelOf, noTabs, type Tab } from "./tabs.ts";
import "./terminal.css";

/** How often the list is asked for: others of the session open terminals too. */
const listEveryMs = 5000;

/** See the file's comment. */
export function Pane({ session, view, active, ask }: PaneProps): ReactNode {
  const [listed, setListed] = useState<TerminalListed | null>(null);
  const [state, change] = useReducer(changed, noTabs);
  const [settings, setSettings] = useSettings();
  const [searching, setSearching] = useState(false);
  const [found, setFound] = useState<readonly [number, number] | null>(null);
  const dark = useDark();
  const screens = useRef(new Map<number, ScreenHandle>());
  const newButton = useRef<HTMLButtonElement>(null);
  // In a pause nothing may be done, and nothing needs to be asked for either.
  const mayRoot = (view.paused ? view.granted : view.may).includes("root");
  const list = useTool({
    session,
    view,
    name: "terminal",
    needs: "terminal",
    opened: (c) => c.send(encode("terminal.list", {})),
    message: (m) => {
      const said = readMessage(decodeTerminal, m);
      if (said?.type !== "terminal.listed") return;
      const first = listed === null;
      setListed(said.body);
      const mine = (said.body.terminals ?? []).filter((t) => mayRoot || !t.root);
      change({ kind: "listed", terminals: mine });
      // Who opens the pane wants a terminal, not a question.
      if (first && mine.length === 0 && said.body.user !== "") change({ kind: "open", root: false });
    },
  });
  const { channel } = list;
  useEffect(() => {
    if (channel === null || !active) return;
    const timer = setInterval(() => channel.send(encode("terminal.list", {})), listEveryMs);
    return () => clearInterval(timer);
  }, [channel, active]);

  const looked = state.tabs.find((t) => t.key === state.active) ?? null;
  const screen = () => (looked === null ? undefined : screens.current.get(looked.key));
  const user = listed?.user ?? "";
  const full = state.tabs.length >= maxTerminals;
  const open = (root: boolean) => {
    if (root && !mayRoot) ask?.([...view.granted, "root"]);
    else if (!full) change({ kind: "open", root });
  };
  const look = (key: number) => {
    change({ kind: "look", key });
    setFound(null);
  };
  const endSearch = () => {
    setSearching(false);
    setFound(null);
    screen()?.endFind();
  };
  const looks = useLooks(dark, settings);
  const opener = { listed, mayRoot, canAsk: ask !== null && view.capabilities.includes("root"), full, open };

  return (
    <>
      <Ended state={list.state} again={list.again} />
      {listed === null && list.state.kind !== "ended" && (
        <p className="hv-empty">Looking which terminals there are…</p>
      )}
      {listed !== null && (
        <div className="hv-bar hv-termbar">
          <TabList
            tabs={state.tabs}
            active={state.active}
            label={(t) => labelOf(state, t, user)}
            look={look}
            close={(t) => {
              screens.current.get(t.key)?.end();
              change({ kind: "close", key: t.key });
            }}
          />
          <NewButtons {...opener} first={newButton} />
          {looked !== null && (
            <Tools
              settings={settings}
              set={setSettings}
              searching={searching}
              search={() => (searching ? endSearch() : setSearching(true))}
              copy={() => screen()?.copy()}
              paste={() => screen()?.paste()}
            />
          )}
        </div>
      )}
      {searching && looked !== null && (
        <Search found={found} find={(text, back) => screen()?.find(text, back)} close={endSearch} />
      )}
      {looked?.brief?.recorded === true && (
        <p className="hv-termsaid">What this terminal shows is recorded.</p>
      )}
      {listed !== null && state.tabs.length === 0 && <Nothing {...opener} />}
      {state.tabs.map((t) => (
        <Screen
          key={t.key}
          ref={(handle) => {
            if (handle !== null) screens.current.set(t.key, handle);
            else screens.current.delete(t.key);
          }}
          session={session}
          view={view}
          id={t.id}
          root={t.root}
          label={`Terminal as ${labelOf(state, t, user)}`}
          shown={active && t.key === state.active}
          looks={looks}
          opened={(brief) => change({ kind: "opened", key: t.key, brief })}
          over={(why) => {
            if (why === "") change({ kind: "close", key: t.key });
          }}
          rang={() => change({ kind: "rang", key: t.key })}
          found={(at, of) => setFound([at, of])}
          leave={() => newButton.current?.focus()}
          search={() => setSearching(true)}
          anew={() => change({ kind: "anew", key: t.key })}
        />
      ))}
    </>
  );
}

function useLooks(dark: boolean, { fontSize, reader }: TerminalSettings) {
  const [looks, setLooks] = useState({ dark, fontSize, reader });
  if (looks.dark !== dark || looks.fontSize !== fontSize || looks.reader !== reader) {
    setLooks({ dark, fontSize, reader });
  }
  return looks;
}

function TabList(props: {
  readonly tabs: readonly Tab[];
  readonly active: number | null;
  readonly label: (t: Tab) => string;
  readonly look: (key: number) => void;
  readonly close: (t: Tab) => void;
}): ReactNode {
  const { tabs, active, label, look, close } = props;
  if (tabs.length === 0) return null;
  return (
    <ul className="hv-termtabs" aria-label="Terminals">
      {tabs.map((t) => (
        <li key={t.key} className={t.key === active ? "hv-termtab hv-on" : "hv-termtab"}>
          <button
            type="button"
            aria-current={t.key === active}
            onClick={() => look(t.key)}
            title={t.brief === null ? "" : `Opened by ${t.brief.opener}`}
          >
            {label(t)}
            {t.root && <span className="hv-termroot">administrator</span>}
            {t.rang && <span className="hv-termbell">rang</span>}
          </button>
          <button
            type="button"
            aria-label={`End the terminal ${label(t)} and what runs in it`}
            title="End it and what runs in it"
            onClick={() => close(t)}
          >
            ×
          </button>
        </li>
      ))}
    </ul>
  );
}

interface OpenerProps {
  readonly listed: TerminalListed | null;
  readonly mayRoot: boolean;
  readonly canAsk: boolean;
  readonly full: boolean;
  readonly open: (root: boolean) => void;
}

function NewButtons(props: OpenerProps & { readonly first: React.Ref<HTMLButtonElement> }): ReactNode {
  const { listed, mayRoot, canAsk, full, open, first } = props;
  if (listed === null) return null;
  const most = full ? `${maxTerminals} terminals are the most.` : "";
  return (
    <>
      <button
        ref={first}
        type="button"
        className="hv-button"
        disabled={full || listed.user === ""}
        title={most || listed.user_problem || `Opens a terminal as ${listed.user}`}
        onClick={() => open(false)}
      >
        New
      </button>
      <button
        type="button"
        className="hv-button"
        disabled={full || listed.root_problem !== "" || (!mayRoot && !canAsk)}
        title={most || listed.root_problem || rootWords(mayRoot, canAsk)}
        onClick={() => open(true)}
      >
        {mayRoot ? "New as administrator" : "Ask for administrator"}
      </button>
    </>
  );
}

function rootWords(mayRoot: boolean, canAsk: boolean): string {
  if (mayRoot) return "Opens a terminal as root";
  return canAsk
    ? "Administrator rights are not granted in this session: asks for them"
    : "Administrator rights are not granted in this session";
}

/** No terminal is open: what can be opened, and why not. */
function Nothing(props: OpenerProps): ReactNode {
  const { listed } = props;
  if (listed === null) return null;
  return (
    <div className="hv-empty">
      <p>No terminal is open.</p>
      {listed.user_problem !== "" && <p>{listed.user_problem}</p>}
      {listed.root_problem !== "" && <p>{listed.root_problem}</p>}
      <p>
        A terminal goes on when the connection is lost or this page is reloaded, and for{" "}
        {Math.round(listed.keep_ms / 60_000)} minutes when nobody has it open. It ends with the session.
      </p>
    </div>
  );
}

function Tools(props: {
  readonly settings: TerminalSettings;
  readonly set: (s: TerminalSettings) => void;
  readonly searching: boolean;
  readonly search: () => void;
  readonly copy: () => void;
  readonly paste: () => void;
}): ReactNode {
  const { settings, set } = props;
  const font = (by: number) =>
    set({ ...settings, fontSize: Math.min(mostFont, Math.max(leastFont, settings.fontSize + by)) });
  return (
    <>
      <span className="hv-grow" />
      <button
        type="button"
        className="hv-button"
        aria-pressed={props.searching}
        title="Ctrl+Shift+F"
        onClick={props.search}
      >
        Search
      </button>
      <button type="button" className="hv-button" title="Ctrl+Shift+C" onClick={props.copy}>
        Copy
      </button>
      <button type="button" className="hv-button" title="Ctrl+Shift+V" onClick={props.paste}>
        Paste
      </button>
      <button type="button" className="hv-button" aria-label="A− Smaller letters" onClick={() => font(-1)}>
        A−
      </button>
      <button type="button" className="hv-button" aria-label="A+ Larger letters" onClick={() => font(1)}>
        A+
      </button>
      <button
        type="button"
        className="hv-button"
        aria-pressed={settings.reader}
        title="Has a screen reader read what the terminal shows"
        onClick={() => set({ ...settings, reader: !settings.reader })}
      >
        Read aloud
      </button>
    </>
  );
}

function Search(props: {
  readonly found: readonly [number, number] | null;
  readonly find: (text: string, back: boolean) => void;
  readonly close: () => void;
}): ReactNode {
  const { found, find, close } = props;
  const [text, setText] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const [at, of] = found ?? [-1, 0];
  return (
    <form
      className="hv-bar"
      onSubmit={(e) => {
        e.preventDefault();
        find(text, false);
      }}
    >
      <input
        ref={input}
        className="hv-input-text"
        aria-label="Search in the terminal"
        placeholder="Search in what the terminal has shown"
        value={text}
        onChange={(e) => {
          setText(e.target.value);
          find(e.target.value, false);
        }}
        onKeyDown={(e) => {
          if (e.key === "Escape") close();
          if (e.key !== "Enter" || !e.shiftKey) return;
          e.preventDefault();
          find(text, true);
        }}
      />
      <span className="hv-said" role="status">
        {text === "" || found === null ? "" : of === 0 ? "Nothing found" : `${at + 1} of ${of}`}
      </span>
      <button type="button" className="hv-button" onClick={() => find(text, true)}>
        Before
      </button>
      <button type="submit" className="hv-button">
        Next
      </button>
      <button type="button" className="hv-button" onClick={close}>
        Close
      </button>
    </form>
  );
}
