/** What is wrong with the device, worst first, each with what it was seen by and the tool that shows more. */
import { type ReactNode, useState } from "react";
import { decodeFindings } from "../../session/diagnostics.ts";
import { encode } from "../../session/envelope.ts";
import { readMessage } from "../../session/toolchannel.ts";
import type { Finding, Findings, Severity } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import { type PaneProps, toolOf } from "../tools.ts";
import { useTool } from "../useTool.ts";
import "./findings.css";

/** See the file's comment. */
export function Pane({ session, view, open }: PaneProps): ReactNode {
  const [found, setFound] = useState<Findings | null>(null);
  const { state, channel, again } = useTool({
    session,
    view,
    name: "findings",
    needs: "diagnostics",
    opened: (c) => c.send(encode("findings.ask", {})),
    message: (m) => {
      const f = readMessage(decodeFindings, m);
      if (f !== null) setFound(f.body);
    },
  });
  const findings = found?.findings ?? [];
  return (
    <>
      <Ended state={state} again={again} />
      <div className="hv-bar">
        <p className="hv-grow" role="status">
          <strong>{found === null ? "Looking at the device…" : found.summary}</strong>
          {found !== null && !found.done && <span className="hv-soft"> Still looking…</span>}
        </p>
        <button
          type="button"
          className="hv-button"
          disabled={channel === null || found?.done === false}
          onClick={() => {
            setFound(null);
            channel?.send(encode("findings.ask", {}));
          }}
        >
          Look again
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard */}
      <section className="hv-body" aria-label="Findings" tabIndex={0}>
        <ol className="hv-findings">
          {findings.map((f) => (
            <li key={f.id} className={`hv-finding hv-finding-${f.severity}`}>
              <One finding={f} open={open} />
            </li>
          ))}
        </ol>
        {found?.done && findings.length === 0 && <p className="hv-empty">Nothing was found to be wrong.</p>}
        {found !== null && <Looked found={found} />}
      </section>
    </>
  );
}

const severityWords: Readonly<Record<Severity, string>> = {
  bad: "Does not work",
  warn: "Wants attention",
  note: "Worth knowing",
};

function One({ finding, open }: { readonly finding: Finding; readonly open: PaneProps["open"] }): ReactNode {
  const tool = toolOf(finding.tool);
  return (
    <>
      <h3>
        <span className="hv-severity">{severityWords[finding.severity]}</span> {finding.title}
      </h3>
      {(finding.evidence ?? []).length > 0 && (
        <ul>
          {(finding.evidence ?? []).map((e) => (
            <li key={e}>{e}</li>
          ))}
        </ul>
      )}
      {finding.advice !== "" && <p>{finding.advice}</p>}
      {tool !== undefined && (
        <button
          type="button"
          className="hv-button"
          onClick={() => open(tool.id, finding.target === "" ? undefined : finding.target)}
        >
          Show in {tool.label}
        </button>
      )}
    </>
  );
}

function Looked({ found }: { readonly found: Findings }): ReactNode {
  const looked = found.looked ?? [];
  const missed = found.missed ?? [];
  return (
    <div className="hv-looked">
      {looked.length > 0 && <p>Looked at: {looked.join(", ")}.</p>}
      {missed.length > 0 && (
        <>
          <p>Could not be looked at:</p>
          <ul>
            {missed.map((m) => (
              <li key={m}>{m}</li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
