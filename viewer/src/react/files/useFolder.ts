/** A folder of the device that is looked at: its entries as they come, and what can be asked of it. */
import { useCallback, useEffect, useRef, useState } from "react";
import type { Session } from "../../browser/session.ts";
import { FilesTalk } from "../../files/talk.ts";
import { encode } from "../../session/envelope.ts";
import type { SessionView } from "../../session/state.ts";
import type { FileEntry, FileName, FilesHello, FilesPage } from "../../session/wire.gen.ts";
import { type UsedTool, useTool } from "../useTool.ts";

/** Entries that are kept of one folder; of a larger one the rest is found by searching. */
export const mostEntries = 100_000;

/** How the folder stands. */
export type FolderState = "loading" | "whole" | "cut" | "failed";

/** See the file's comment. */
export interface Folder {
  readonly tool: UsedTool;
  readonly hello: FilesHello | null;
  readonly talk: FilesTalk | null;
  /** The folder, without links; null before the first. */
  readonly path: FileName | null;
  readonly page: FilesPage | null;
  readonly entries: readonly FileEntry[];
  readonly state: FolderState;
  readonly failure: string;
  readonly match: string;
  /** Looks into a folder, or searches one. */
  readonly look: (path: FileName, match?: string) => void;
  /** Looks again at what is there. */
  readonly refresh: () => void;
}

/** Entries are drawn this often while they come, in milliseconds. */
const drawMs = 150;

/** Follows a folder of the device, as the person signed in or as administrator. */
export function useFolder(use: {
  readonly session: Session;
  readonly view: SessionView;
  readonly admin: boolean;
  readonly begin: FileName | null;
}): Folder {
  const { session, view, admin } = use;
  const [hello, setHello] = useState<FilesHello | null>(null);
  const [talk, setTalk] = useState<FilesTalk | null>(null);
  const [shown, setShown] = useState<{
    path: FileName | null;
    page: FilesPage | null;
    entries: readonly FileEntry[];
    state: FolderState;
    failure: string;
    match: string;
  }>({ path: null, page: null, entries: [], state: "loading", failure: "", match: "" });
  const current = useRef<FilesTalk | null>(null);
  const job = useRef(0);
  const round = useRef(0);
  /** Where to look once files are open, or open again. */
  const wanted = useRef<FileName | null>(use.begin);

  const look = useCallback((path: FileName, match = "") => {
    const t = current.current;
    wanted.current = path;
    if (t === null) return;
    if (job.current !== 0) t.cancel(job.current);
    const mine = ++round.current;
    const got: FileEntry[] = [];
    let drawn = 0;
    let cut = false;
    setShown((s) => ({ ...s, state: "loading", failure: "", match }));
    const draw = (p: FilesPage, state: FolderState) => {
      drawn = performance.now();
      wanted.current = p.path;
      setShown({ path: p.path, page: p, entries: [...got], state, failure: "", match });
    };
    const page = (p: FilesPage) => {
      if (mine !== round.current) return false;
      got.push(...(p.entries ?? []));
      cut = got.length >= mostEntries && !p.last;
      if (p.last || cut) draw(p, cut ? "cut" : "whole");
      else if (performance.now() - drawn > drawMs) draw(p, "loading");
      return !cut;
    };
    t.list({ path, match }, page, (j) => {
      job.current = j;
    }).then(
      () => undefined,
      (cause: unknown) => {
        if (mine !== round.current || cut) return;
        const failure = cause instanceof Error ? cause.message : "No answer.";
        setShown((s) => ({ ...s, path: s.path ?? path, state: "failed", failure }));
      },
    );
  }, []);

  const tool = useTool({
    session,
    view,
    name: "files",
    needs: "files",
    opened: (c) => {
      const t = new FilesTalk(c);
      current.current = t;
      c.on("close", (end) => t.over(end.message));
      c.send(encode("files.open", { admin }));
    },
    message: (m) => {
      const read = current.current?.take(m);
      if (read?.type !== "files.hello") return;
      setHello(read.body);
      setTalk(current.current);
      look(wanted.current ?? read.body.home);
    },
  });

  useEffect(() => {
    if (tool.channel !== null) return;
    current.current = null;
    setTalk(null);
  }, [tool.channel]);

  const refresh = useCallback(() => {
    if (wanted.current !== null) look(wanted.current);
  }, [look]);

  return { tool, hello, talk, ...shown, look, refresh };
}
