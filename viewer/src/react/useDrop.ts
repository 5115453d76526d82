/** Files dropped onto the picture: they go to the person's Downloads, and the transfers are shown. */
import { type DragEvent, useState } from "react";
import type { Session } from "../browser/session.ts";
import { carriesFiles, droppedFiles } from "../files/dropped.ts";
import type { SessionView } from "../session/state.ts";

/** What the element that files may be dropped on is given. */
export interface Drop {
  /** Files are held over it. */
  readonly over: boolean;
  readonly on: {
    readonly onDragOver: (e: DragEvent) => void;
    readonly onDragLeave: () => void;
    readonly onDrop: (e: DragEvent) => void;
  };
}

/** See the file's comment. `shown` is called once something is on its way. */
export function useDrop(session: Session, view: SessionView, shown: () => void): Drop {
  const [over, setOver] = useState(false);
  const send = async (items: ReturnType<typeof droppedFiles>) => {
    try {
      const { transfersOf } = await import("../files/transfers.ts");
      const transfers = transfersOf(session);
      transfers.upload(await items, "inbox", transfers.admin);
      shown();
    } catch (cause) {
      session.notice("", cause instanceof Error ? cause.message : "What was dropped could not be read.");
    }
  };
  return {
    over,
    on: {
      onDragOver: (e) => {
        if (!carriesFiles(e.dataTransfer)) return;
        e.preventDefault();
        e.dataTransfer.dropEffect = view.may.includes("files") ? "copy" : "none";
        setOver(true);
      },
      onDragLeave: () => setOver(false),
      onDrop: (e) => {
        setOver(false);
        if (!carriesFiles(e.dataTransfer)) return;
        e.preventDefault(); // otherwise the page would be left for the file
        if (view.may.includes("files")) void send(droppedFiles(e.dataTransfer));
        else
          session.notice("not_granted", "Nothing was sent: this session does not have the right to files.");
      },
    },
  };
}
