/** The device's file systems, how full they are, and what fills them, as a map that grows while it is looked for. */
import { type ReactNode, useEffect, useState } from "react";
import { decodeSpace } from "../../session/diagnostics.ts";
import { encode } from "../../session/envelope.ts";
import { readMessage, type ToolChannel } from "../../session/toolchannel.ts";
import { bytes, share } from "../../session/units.ts";
import type { SpaceTree, SpaceVolume } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";
import { TreeMap } from "./TreeMap.tsx";
import "./space.css";

/** How long a walk may take, in seconds. */
const walkSeconds = 300;

/** See the file's comment. */
export function Pane({ session, view, active, target }: PaneProps): ReactNode {
  const [volumes, setVolumes] = useState<readonly SpaceVolume[] | null>(null);
  const [message, setMessage] = useState("");
  const [tree, setTree] = useState<SpaceTree | null>(null);
  const [path, setPath] = useState<string | null>(target?.text ?? null);

  const walkTo = (c: ToolChannel | null, to: string) => {
    setPath(to);
    setTree(null);
    c?.send(encode("space.walk", { path: to, seconds: walkSeconds }));
  };
  const { state, channel, again } = useTool({
    session,
    view,
    name: "space",
    needs: "diagnostics",
    wanted: active,
    opened: (c) => {
      c.send(encode("space.ask", {}));
      if (path !== null && tree?.done !== true) walkTo(c, path);
    },
    message: (m) => {
      const s = readMessage(decodeSpace, m);
      if (s?.type === "space.volumes") {
        setVolumes(s.body.volumes ?? []);
        setMessage(s.body.message);
      } else if (s?.type === "space.tree") setTree(s.body);
    },
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new wish begins a walk
  useEffect(() => {
    if (target !== null && target.text !== path) walkTo(channel, target.text);
  }, [target?.serial]);

  return (
    <>
      <Ended state={state} again={again} />
      <div className="hv-bar">
        <button
          type="button"
          className="hv-button"
          disabled={channel === null}
          onClick={() => channel?.send(encode("space.ask", {}))}
        >
          Read again
        </button>
        {path !== null && path !== "/" && (
          <button
            type="button"
            className="hv-button"
            disabled={channel === null}
            onClick={() => walkTo(channel, path.replace(/\/[^/]*\/?$/, "") || "/")}
          >
            Up
          </button>
        )}
        {tree !== null && !tree.done && (
          <button type="button" className="hv-button" onClick={() => channel?.send(encode("space.stop", {}))}>
            Stop looking
          </button>
        )}
        <p className="hv-said" role="status">
          {path === null ? "Choose a file system to see what fills it." : walkWords(path, tree)}
        </p>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard */}
      <section className="hv-body" aria-label="File systems" tabIndex={0}>
        {message !== "" && <p className="hv-said hv-bar">{message}</p>}
        {volumes === null && state.kind !== "ended" && <p className="hv-empty">Reading the file systems…</p>}
        {volumes !== null && volumes.length === 0 && <p className="hv-empty">No file system can be read.</p>}
        <ul className="hv-volumes">
          {(volumes ?? []).map((v) => (
            <li key={v.mount}>
              <button
                type="button"
                className="hv-volume"
                aria-pressed={path === v.mount}
                disabled={v.stuck || channel === null}
                onClick={() => walkTo(channel, v.mount)}
              >
                <span className="hv-mount">{v.mount}</span>
                <Volume v={v} />
              </button>
            </li>
          ))}
        </ul>
        {tree !== null && <TreeMap tree={tree} into={(to) => walkTo(channel, to)} />}
      </section>
    </>
  );
}

function Volume({ v }: { readonly v: SpaceVolume }): ReactNode {
  if (v.stuck) return <span className="hv-bad">does not answer</span>;
  const kind = [
    v.kind,
    v.read_only ? "read only" : "",
    v.remote ? "on another machine" : "",
    v.memory ? "in memory" : "",
  ];
  const full = v.bytes > 0 ? v.used / v.bytes : 0;
  const names =
    v.files > 0 && v.files_used / v.files > 0.8
      ? `, ${share(v.files_used, v.files)} of its file names used`
      : "";
  return (
    <>
      <progress max={1} value={full} aria-hidden="true" className={full > 0.9 ? "hv-full-bar" : undefined} />
      <span className={full > 0.9 ? "hv-bad" : undefined}>
        {share(v.used, v.bytes)} full, {bytes(Math.max(0, v.bytes - v.used))} free of {bytes(v.bytes)}
        {names}
      </span>
      <span className="hv-soft">{kind.filter((k) => k !== "").join(", ")}</span>
    </>
  );
}

function walkWords(path: string, tree: SpaceTree | null): string {
  if (tree === null) return `Looking into ${path}…`;
  const root = tree.nodes?.[0];
  const found = `${bytes(root?.bytes ?? 0)} in ${tree.entries.toLocaleString()} files and directories of ${tree.path}`;
  const unread = tree.unreadable > 0 ? `; ${tree.unreadable} directories could not be read` : "";
  if (!tree.done) return `${found} so far${unread}`;
  return `${found}${unread}${tree.whole ? "" : `; not everything was seen${tree.message ? `: ${tree.message}` : ""}`}`;
}
