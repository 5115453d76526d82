/** The device's figures, second by second. */
import { type ReactNode, useState } from "react";
import { encode } from "../../session/envelope.ts";
import { readMessage } from "../../session/toolchannel.ts";
import { decodeVitals } from "../../session/vitals.ts";
import type { Vitals } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";

/** See the file's comment. */
export function Pane({ session, view }: PaneProps): ReactNode {
  const [now, setNow] = useState<Vitals | null>(null);
  const { state, again } = useTool({
    session,
    view,
    name: "vitals",
    needs: "diagnostics",
    opened: (c) => c.send(encode("vitals.watch", { every_ms: 1000 })),
    message: (m) => {
      const v = readMessage(decodeVitals, m);
      if (v?.type === "vitals") setNow(v.body);
    },
  });
  return (
    <>
      <Ended state={state} again={again} />
      <p>{now === null ? "Waiting for the first figures…" : `Load ${now.load?.join(" ")}`}</p>
    </>
  );
}
