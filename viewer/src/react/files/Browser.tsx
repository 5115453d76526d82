/** One side of the files' pane: where we are, what is there, and what can be done with it. */
import { type DragEvent, type ReactNode, useEffect, useMemo, useRef, useState } from "react";
import type { Session } from "../../browser/session.ts";
import { carriesFiles, chooseTarget, chosenFiles, droppedFiles } from "../../files/dropped.ts";
import { type LocalFolder, newFile } from "../../files/local.ts";
import { type Transfer, Upload } from "../../files/transfer.ts";
import type { Transfers } from "../../files/transfers.ts";
import { crumbs, joinPath, nameKey, nameOf, parentOf } from "../../session/files.ts";
import type { SessionView } from "../../session/state.ts";
import { bytes } from "../../session/units.ts";
import type { FileEntry, FileName } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import { DeleteForm, NameForm, PermissionsForm } from "./forms.tsx";
import { Listing, type Sort, sorted } from "./Listing.tsx";
import { Preview } from "./Preview.tsx";
import { mostEntries, useFolder } from "./useFolder.ts";
import { isFile, isFolder, placeWords } from "./words.ts";

interface BrowserProps {
  readonly session: Session;
  readonly view: SessionView;
  readonly transfers: Transfers;
  readonly admin: boolean;
  readonly setAdmin: (on: boolean) => void;
  readonly begin: FileName | null;
  /** What this side is called, where there are two. */
  readonly side: string;
  /** Says where this side is. */
  readonly at: (path: FileName) => void;
  /** The other side's folder, to move things to; null where there is none. */
  readonly other: FileName | null;
  /** The folder of this computer that what is fetched goes to; null asks, or leaves it to the browser. */
  readonly into: LocalFolder | null;
}

type Asking = "make" | "rename" | "delete" | "permissions" | "preview" | null;

/** See the file's comment. */
export function Browser(props: BrowserProps): ReactNode {
  const { session, view, transfers, admin } = props;
  const folder = useFolder({ session, view, admin, begin: props.begin });
  const { path, talk, look, refresh, hello } = folder;
  const [sort, setSort] = useState<Sort>({ by: "name", down: false });
  const [selected, select] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<Asking>(null);
  const [menu, setMenu] = useState<{ x: number; y: number } | null>(null);
  const [message, setMessage] = useState("");
  const [progress, setProgress] = useState("");
  const [over, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folders = useRef<HTMLInputElement>(null);
  const running = useRef(0);

  const entries = useMemo(() => sorted(folder.entries, sort), [folder.entries, sort]);
  const chosen = useMemo(() => entries.filter((e) => selected.has(nameKey(e.name))), [entries, selected]);
  const one = chosen.length === 1 ? chosen[0] : undefined;

  const { at } = props;
  useEffect(() => {
    if (path !== null) at(path);
    select(new Set());
  }, [path, at]);

  // Where something has arrived that is looked at, it is shown.
  useEffect(
    () =>
      transfers.on("done", (t: Transfer) => {
        if (t instanceof Upload && path !== null && t.landsIn(path)) refresh();
      }),
    [transfers, path, refresh],
  );

  /** Does something, looks again, and returns why it did not work. */
  const attempt = async (run: () => Promise<unknown>): Promise<string | null> => {
    try {
      await run();
      return null;
    } catch (cause) {
      return cause instanceof Error ? cause.message : "That did not work.";
    } finally {
      setProgress("");
      refresh();
    }
  };
  const within = (e: FileEntry): FileName => joinPath(path ?? { text: "/" }, e.name);

  const enter = (e: FileEntry) => {
    select(new Set([nameKey(e.name)]));
    if (isFolder(e)) look(within(e));
    else if (isFile(e)) setAsking("preview");
    else setMessage(`${e.name.text} is neither a file nor a folder, and is not opened.`);
  };
  const download = async () => {
    if (path === null || chosen.length === 0) return;
    setMenu(null);
    const single = one !== undefined && isFile(one) ? one : undefined;
    const name = single?.name.text ?? `${one?.name.text ?? crumbs(path).at(-1)?.name.text ?? "files"}.zip`;
    let handle: FileSystemFileHandle | null | undefined;
    try {
      const plain = name.replaceAll(/[/\\]/g, "_");
      handle = props.into === null ? await chooseTarget(plain) : await newFile(props.into, plain);
    } catch (cause) {
      setMessage(cause instanceof Error ? cause.message : "No file could be made for it.");
    }
    if (handle === undefined) return;
    transfers.download(
      {
        path: single === undefined ? path : within(single),
        follow: single?.kind === "link",
        names: single === undefined ? chosen.map((e) => e.name) : [],
        name,
        size: single?.kind === "file" ? single.size : null,
        handle,
      },
      admin,
    );
  };
  const send = async (get: () => Promise<Parameters<Transfers["upload"]>[0]>) => {
    if (path === null) return;
    try {
      transfers.upload(await get(), path, admin);
    } catch (cause) {
      setMessage(cause instanceof Error ? cause.message : "That could not be read.");
    }
  };
  const drop = (e: DragEvent) => {
    if (!carriesFiles(e.dataTransfer)) return;
    e.preventDefault();
    e.stopPropagation();
    setOver(false);
    const items = droppedFiles(e.dataTransfer); // now: the browser forgets it afterwards
    void send(() => items);
  };
  const drag = (e: DragEvent) => {
    if (!carriesFiles(e.dataTransfer)) return;
    e.preventDefault();
    setOver(true);
  };
  const choose = (a: Asking) => {
    setMenu(null);
    setAsking(a);
  };
  const moveOver = () => {
    const { other } = props;
    if (other === null || talk === null) return;
    void attempt(async () => {
      for (const e of chosen)
        await talk.ask("files.move", { from: within(e), to: joinPath(other, e.name), replace: false });
    }).then((why) => setMessage(why ?? ""));
  };

  if (hello === null) return <Opening folder={folder} view={view} admin={admin} setAdmin={props.setAdmin} />;
  const actions: readonly (readonly [string, boolean, () => void])[] = [
    ["Open", one !== undefined, () => one && enter(one)],
    ["Download", chosen.some((e) => isFile(e) || isFolder(e)), () => void download()],
    ["Rename", one !== undefined, () => choose("rename")],
    ["Permissions", chosen.length > 0 && chosen.every((e) => e.kind !== "link"), () => choose("permissions")],
    ...(props.other === null ? [] : [["Move to the other side", chosen.length > 0, moveOver] as const]),
    ["Delete", chosen.length > 0, () => choose("delete")],
  ];
  const off = talk === null;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: files are dropped here, or chosen with the buttons
    <div
      className={over ? "hv-files-side hv-files-over" : "hv-files-side"}
      onDragOver={drag}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Ended state={folder.tool.state} again={folder.tool.again} />
      <Way {...props} path={path} look={look} places={hello.places ?? []} user={hello.user} />
      <div className="hv-files-bar" role="toolbar" aria-label={`Files${props.side}`}>
        <button
          type="button"
          className="hv-button"
          disabled={off}
          onClick={() => path && look(parentOf(path))}
        >
          Up
        </button>
        <button type="button" className="hv-button" disabled={off} onClick={refresh}>
          Refresh
        </button>
        <button type="button" className="hv-button" disabled={off} onClick={() => choose("make")}>
          New folder
        </button>
        <button type="button" className="hv-button" disabled={off} onClick={() => files.current?.click()}>
          Upload files
        </button>
        <button type="button" className="hv-button" disabled={off} onClick={() => folders.current?.click()}>
          Upload a folder
        </button>
        {actions.slice(1).map(([label, may, run]) => (
          <button key={label} type="button" className="hv-button" disabled={off || !may} onClick={run}>
            {label}
          </button>
        ))}
        <Search match={folder.match} search={(m) => path && look(path, m)} />
      </div>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        aria-label="Files to upload"
        onChange={(e) => {
          const list = e.target.files;
          if (list) void send(async () => chosenFiles(list)); // takes them out at once
          e.target.value = ""; // so that the same can be chosen again
        }}
      />
      <input
        ref={(el) => {
          folders.current = el;
          el?.setAttribute("webkitdirectory", "");
        }}
        type="file"
        hidden
        aria-label="Folder to upload"
        onChange={(e) => {
          const list = e.target.files;
          if (list) void send(async () => chosenFiles(list)); // takes them out at once
          e.target.value = ""; // so that the same can be chosen again
        }}
      />
      {message !== "" && (
        <p className="hv-files-message" role="alert">
          {message}{" "}
          <button type="button" className="hv-button hv-small" onClick={() => setMessage("")}>
            All right
          </button>
        </p>
      )}
      {folder.state === "failed" ? (
        <div className="hv-empty" role="alert">
          <p>{folder.failure}</p>
          <button type="button" className="hv-button hv-strong" onClick={refresh}>
            Try again
          </button>
          <button type="button" className="hv-button" onClick={() => look(hello.home)}>
            Go home
          </button>
        </div>
      ) : (
        <Listing
          label={`${path?.text ?? "Files"}${props.side}`}
          entries={entries}
          sort={sort}
          setSort={setSort}
          selected={selected}
          select={select}
          enter={enter}
          up={() => path && look(parentOf(path))}
          remove={() => chosen.length > 0 && choose("delete")}
          rename={() => one && choose("rename")}
          menu={(x, y) => setMenu({ x, y })}
        />
      )}
      <p className="hv-files-foot" role="status">
        {foot(folder.state, entries, chosen, folder.match)}
        {folder.page !== null && ` ${bytes(folder.page.free)} free of ${bytes(folder.page.bytes)}.`}
        {folder.page?.writable === false && " This user may only read here."}
      </p>
      {menu !== null && <ContextMenu at={menu} actions={actions} close={() => setMenu(null)} />}
      {asking === "make" && talk !== null && path !== null && (
        <NameForm
          title="New folder"
          action="Make"
          was=""
          close={() => setAsking(null)}
          submit={(n) => attempt(() => talk.ask("files.make", { path: joinPath(path, nameOf(n)) }))}
        />
      )}
      {asking === "rename" && talk !== null && path !== null && one !== undefined && (
        <NameForm
          title={`Rename ${one.name.text}`}
          action="Rename"
          was={one.name.raw ? "" : one.name.text}
          close={() => setAsking(null)}
          submit={(n) =>
            attempt(() =>
              talk.ask("files.move", { from: within(one), to: joinPath(path, nameOf(n)), replace: false }),
            )
          }
        />
      )}
      {asking === "delete" && talk !== null && (
        <DeleteForm
          entries={chosen}
          progress={progress}
          close={() => {
            if (running.current !== 0) talk.cancel(running.current);
            setAsking(null);
          }}
          submit={() =>
            attempt(async () => {
              for (let n = 0; n < chosen.length; n += 200) {
                await talk.ask(
                  "files.delete",
                  { paths: chosen.slice(n, n + 200).map(within) },
                  (count, size) => setProgress(`${count} deleted, ${bytes(size)}.`),
                  (j) => {
                    running.current = j;
                  },
                );
              }
              running.current = 0;
            })
          }
        />
      )}
      {asking === "permissions" && talk !== null && (
        <PermissionsForm
          entries={chosen}
          admin={admin}
          close={() => setAsking(null)}
          submit={(p) =>
            attempt(() => talk.ask("files.set", { paths: chosen.slice(0, 200).map(within), ...p }))
          }
        />
      )}
      {asking === "preview" && one !== undefined && (
        <Preview
          session={session}
          admin={admin}
          path={within(one)}
          entry={one}
          close={() => setAsking(null)}
          saved={() => {
            setAsking(null);
            refresh();
          }}
          download={() => {
            setAsking(null);
            void download();
          }}
        />
      )}
    </div>
  );
}

function foot(
  state: string,
  entries: readonly FileEntry[],
  chosen: readonly FileEntry[],
  match: string,
): string {
  const size = (list: readonly FileEntry[]) =>
    list.reduce((sum, e) => sum + (e.kind === "file" ? e.size : 0), 0);
  if (state === "loading") return entries.length === 0 ? "Reading…" : `Reading… ${entries.length} so far.`;
  if (state === "cut")
    return `More than ${mostEntries.toLocaleString()} entries: the first are shown. Search to find the others.`;
  if (entries.length === 0)
    return match === "" ? "Nothing is in here." : `Nothing in here is called “${match}”.`;
  if (chosen.length > 1) return `${chosen.length} of ${entries.length} chosen, ${bytes(size(chosen))}.`;
  return `${entries.length} ${entries.length === 1 ? "entry" : "entries"}, ${bytes(size(entries))}.`;
}

/** Before the device has said as whom files are shown. */
function Opening(props: {
  readonly folder: ReturnType<typeof useFolder>;
  readonly view: SessionView;
  readonly admin: boolean;
  readonly setAdmin: (on: boolean) => void;
}): ReactNode {
  const { folder, view, admin } = props;
  const { state, again } = folder.tool;
  if (state.kind !== "ended") return <p className="hv-empty">Opening the device's files…</p>;
  return (
    <div className="hv-empty">
      <Ended state={state} again={again} />
      {!admin && view.may.includes("root") && (
        <button
          type="button"
          className="hv-button hv-strong"
          onClick={() => {
            props.setAdmin(true);
            again();
          }}
        >
          Open as administrator
        </button>
      )}
    </div>
  );
}

/** Where we are: places, the way from the root, and as whom. */
function Way(
  props: BrowserProps & {
    readonly path: FileName | null;
    readonly look: (p: FileName) => void;
    readonly places: readonly { readonly kind: string; readonly path: FileName; readonly free: number }[];
    readonly user: string;
  },
): ReactNode {
  const { path, look, places, view, admin, setAdmin } = props;
  const way = path === null ? [] : crumbs(path);
  return (
    <div className="hv-files-way">
      <select
        aria-label={`Places${props.side}`}
        value=""
        onChange={(e) => {
          const p = places[Number(e.target.value)];
          if (p) look(p.path);
        }}
      >
        <option value="" disabled>
          Places
        </option>
        {places.map((p, i) => (
          <option key={nameKey(p.path)} value={i}>
            {placeWords(p.kind, p.path.text)} ({bytes(p.free)} free)
          </option>
        ))}
      </select>
      <nav aria-label={`Folder${props.side}`}>
        <ol>
          {way.map((c, i) => (
            <li key={nameKey(c.path)}>
              <button
                type="button"
                className="hv-files-crumb"
                aria-current={i === way.length - 1 ? "location" : undefined}
                onClick={() => look(c.path)}
              >
                <bdi>{c.name.text}</bdi>
              </button>
            </li>
          ))}
        </ol>
      </nav>
      <span className="hv-files-as" title="Whose rights hold here">
        as {props.user}
      </span>
      {(view.may.includes("root") || admin) && (
        <label className="hv-files-check">
          <input type="checkbox" checked={admin} onChange={(e) => setAdmin(e.target.checked)} /> As
          administrator
        </label>
      )}
    </div>
  );
}

function Search(props: { readonly match: string; readonly search: (m: string) => void }): ReactNode {
  const [text, setText] = useState(props.match);
  return (
    <form
      className="hv-files-search"
      onSubmit={(e) => {
        e.preventDefault();
        props.search(text);
      }}
    >
      <input
        type="search"
        aria-label="Names in this folder that hold"
        placeholder="Search in this folder"
        value={text}
        onChange={(e) => {
          setText(e.target.value);
          if (e.target.value === "" && props.match !== "") props.search("");
        }}
      />
    </form>
  );
}

function ContextMenu(props: {
  readonly at: { readonly x: number; readonly y: number };
  readonly actions: readonly (readonly [string, boolean, () => void])[];
  readonly close: () => void;
}): ReactNode {
  const { at, actions, close } = props;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    box.current?.querySelector<HTMLElement>("button:not(:disabled)")?.focus();
    const away = (e: Event) => !box.current?.contains(e.target as Node) && close();
    document.addEventListener("pointerdown", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      if (document.activeElement === document.body) before?.focus();
    };
  }, [close]);
  return (
    <div
      ref={box}
      role="menu"
      tabIndex={-1}
      aria-label="What can be done"
      className="hv-popover hv-files-menu"
      style={{ left: Math.min(at.x, innerWidth - 200), top: Math.min(at.y, innerHeight - 240) }}
      onKeyDown={(e) => {
        const items = [...(box.current?.querySelectorAll<HTMLElement>("button:not(:disabled)") ?? [])];
        const i = items.indexOf(document.activeElement as HTMLElement);
        if (e.key === "Escape") close();
        else if (e.key === "ArrowDown") items[(i + 1) % items.length]?.focus();
        else if (e.key === "ArrowUp") items[(i - 1 + items.length) % items.length]?.focus();
        else return;
        e.preventDefault();
        e.stopPropagation();
      }}
    >
      {actions.map(([label, may, run]) => (
        <button
          key={label}
          type="button"
          role="menuitem"
          className="hv-item"
          disabled={!may}
          onClick={() => {
            close();
            run();
          }}
        >
          {label}
        </button>
      ))}
    </div>
  );
}
