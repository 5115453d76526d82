/** The device's files beside the operator's transfers; two folders side by side where they are wanted. */
import { type ReactNode, useCallback, useEffect, useState } from "react";
import { canOpenFolders, type LocalFolder } from "../../files/local.ts";
import { transfersOf } from "../../files/transfers.ts";
import { nameOf } from "../../session/files.ts";
import type { FileName } from "../../session/wire.gen.ts";
import type { PaneProps } from "../tools.ts";
import { Browser } from "./Browser.tsx";
import { Local } from "./Local.tsx";
import { Queue } from "./Queue.tsx";
import "./files.css";

/** What stands on the other side. */
type Beside = "nothing" | "device" | "computer";

/** See the file's comment. */
export function Pane({ session, view, target }: PaneProps): ReactNode {
  const [transfers] = useState(() => transfersOf(session));
  const [admin, setAdmin] = useState(transfers.admin);
  const [beside, setBeside] = useState<Beside>("nothing");
  const [local, setLocal] = useState<LocalFolder | null>(null);
  const two = beside === "device";
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
          into={beside === "computer" ? local : null}
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
            into={null}
          />
        )}
        {beside === "computer" && <Local transfers={transfers} admin={admin} there={left} at={setLocal} />}
      </div>
      <div className="hv-files-below">
        <label className="hv-files-check">
          Beside it{" "}
          <select value={beside} onChange={(e) => setBeside(e.target.value as Beside)}>
            <option value="nothing">nothing</option>
            <option value="device">another folder of the device</option>
            {canOpenFolders() && <option value="computer">a folder of this computer</option>}
          </select>
        </label>
      </div>
      <Queue transfers={transfers} />
    </div>
  );
}
