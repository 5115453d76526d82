/** A folder of this computer beside the device's, where the browser lets the operator open one. */
import { type ReactNode, useCallback, useEffect, useMemo, useState } from "react";
import { type LocalFolder, localEntries, localFiles, pickFolder } from "../../files/local.ts";
import type { Transfers } from "../../files/transfers.ts";
import { nameKey } from "../../session/files.ts";
import type { FileEntry, FileName } from "../../session/wire.gen.ts";
import { Listing, type Sort, sorted } from "./Listing.tsx";

interface LocalProps {
  readonly transfers: Transfers;
  readonly admin: boolean;
  /** The device's folder that is looked at; null before the first. */
  readonly there: FileName | null;
  /** Says which folder of this computer is looked at: what is fetched goes there. */
  readonly at: (folder: LocalFolder | null) => void;
}

/** See the file's comment. */
export function Local({ transfers, admin, there, at }: LocalProps): ReactNode {
  const [way, setWay] = useState<readonly LocalFolder[]>([]);
  const [entries, setEntries] = useState<readonly FileEntry[]>([]);
  const [sort, setSort] = useState<Sort>({ by: "name", down: false });
  const [selected, select] = useState<ReadonlySet<string>>(new Set());
  const [message, setMessage] = useState("");
  const here = way.at(-1) ?? null;

  const failing = useCallback(async (run: () => Promise<void>) => {
    try {
      setMessage("");
      await run();
    } catch (cause) {
      setMessage(cause instanceof Error ? cause.message : "That folder cannot be read.");
    }
  }, []);
  const look = useCallback(() => {
    if (here !== null) void failing(async () => setEntries(await localEntries(here)));
  }, [here, failing]);

  useEffect(() => {
    at(here);
    select(new Set());
    look();
  }, [here, at, look]);
  useEffect(() => transfers.on("done", look), [transfers, look]);

  const rows = useMemo(() => sorted(entries, sort), [entries, sort]);
  const chosen = rows.filter((e) => selected.has(nameKey(e.name)));
  const pick = () =>
    void failing(async () => {
      const folder = await pickFolder();
      if (folder !== null) setWay([folder]);
    });
  const up = () => setWay((w) => (w.length > 1 ? w.slice(0, -1) : w));
  const enter = (e: FileEntry) =>
    void failing(async () => {
      if (e.kind === "folder" && here !== null)
        setWay([...way, (await here.getDirectoryHandle(e.name.text)) as LocalFolder]);
    });
  const send = () =>
    void failing(async () => {
      if (here === null || there === null) return;
      const names = chosen.map((e) => e.name.text);
      transfers.upload(await localFiles(here, names), there, admin);
    });

  if (here === null)
    return (
      <div className="hv-files-side">
        <div className="hv-empty">
          <p>Choose a folder of this computer. What is fetched goes there, and what is there can be sent.</p>
          <button type="button" className="hv-button hv-strong" onClick={pick}>
            Choose a folder
          </button>
          {message !== "" && <p role="alert">{message}</p>}
        </div>
      </div>
    );
  return (
    <div className="hv-files-side">
      <div className="hv-files-way">
        <strong>This computer</strong>
        <bdi>{way.map((w) => w.name || "folder").join(" / ")}</bdi>
      </div>
      <div className="hv-files-bar" role="toolbar" aria-label="Files of this computer">
        <button type="button" className="hv-button" disabled={way.length < 2} onClick={up}>
          Up
        </button>
        <button type="button" className="hv-button" onClick={look}>
          Look again
        </button>
        <button type="button" className="hv-button" onClick={pick}>
          Choose another folder
        </button>
        <button
          type="button"
          className="hv-button hv-strong"
          disabled={chosen.length === 0 || there === null}
          onClick={send}
        >
          Send to the device
        </button>
      </div>
      {message !== "" && (
        <p className="hv-files-message" role="alert">
          {message}
        </p>
      )}
      <Listing
        label="Files of this computer"
        entries={rows}
        sort={sort}
        setSort={setSort}
        selected={selected}
        select={select}
        enter={enter}
        up={up}
        remove={() => undefined}
        rename={() => undefined}
        menu={() => undefined}
      />
      <p className="hv-files-foot" role="status">
        {rows.length === 0 ? "Nothing is in here." : `${chosen.length} of ${rows.length} chosen.`}
      </p>
    </div>
  );
}
