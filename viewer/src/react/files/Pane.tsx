/** The device's files beside the operator's transfers; two folders side by side where they are wanted. */
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { transfersOf } from "../../files/transfers.ts";
import { nameOf } from "../../session/files.ts";
import type { FileName } from "../../session/wire.gen.ts";
import type { PaneProps } from "../tools.ts";
import { Browser } from "./Browser.tsx";
import { Queue } from "./Queue.tsx";
import "./files.css";

/** See the file's comment. */
export function Pane({ session, view, target }: PaneProps): ReactNode {
  const [transfers] = useState(() => transfersOf(session));
  const [admin, setAdmin] = useState(transfers.admin);
  const [two, setTwo] = useState(false);
  const [left, setLeft] = useState<FileName | null>(null);
  const [right, setRight] = useState<FileName | null>(null);
  useEffect(() => {
    transfers.admin = admin;
  }, [transfers, admin]);
  const asAdmin = useCallback((on: boolean) => setAdmin(on), []);
  const begin = target === null ? left : nameOf(target.text);
  return (
    <div className="hv-files">
      <div className="hv-files-sides">
        <Browser
          // As somebody else, or where another tool points, everything is looked at anew.
          key={`${admin} ${target?.serial ?? 0}`}
          session={session}
          view={view}
          transfers={transfers}
          admin={admin}
          setAdmin={asAdmin}
          begin={begin}
          side={two ? ", left" : ""}
          at={setLeft}
          other={two ? right : null}
        />
        {two && (
          <Browser
            key={`right ${admin}`}
            session={session}
            view={view}
            transfers={transfers}
            admin={admin}
            setAdmin={asAdmin}
            begin={right ?? left}
            side=", right"
            at={setRight}
            other={left}
          />
        )}
      </div>
      <div className="hv-files-below">
        <label className="hv-files-check">
          <input type="checkbox" checked={two} onChange={(e) => setTwo(e.target.checked)} /> Two folders side
          by side
        </label>
      </div>
      <Queue transfers={transfers} />
    </div>
  );
}
