/** The device's network: how it is connected, who talks to whom, and checks that run on the device. */
import { type FormEvent, type ReactNode, useRef, useState } from "react";
import { decodeNet } from "../../session/diagnostics.ts";
import { encode } from "../../session/envelope.ts";
import { readMessage } from "../../session/toolchannel.ts";
import { bytes } from "../../session/units.ts";
import type { NetCheck, NetLine, NetSocket, NetState } from "../../session/wire.gen.ts";
import { Ended } from "../Ended.tsx";
import { type Column, Rows } from "../Rows.tsx";
import type { PaneProps } from "../tools.ts";
import { useTool } from "../useTool.ts";

interface Run {
  readonly id: string;
  readonly title: string;
  readonly lines: readonly NetLine[];
  /** Null while it runs. */
  readonly done: { readonly ok: boolean; readonly message: string } | null;
}

/** Checks and lines of one that are kept. */
const mostRuns = 20;
const mostLines = 500;

/** See the file's comment. */
export function Pane({ session, view, active, target }: PaneProps): ReactNode {
  const [net, setNet] = useState<NetState | null>(null);
  const [sockets, setSockets] = useState<readonly NetSocket[] | null>(null);
  const [part, setPart] = useState<"checks" | "state" | "sockets">("checks");
  const [runs, setRuns] = useState<readonly Run[]>([]);
  const serial = useRef(0);
  const { state, channel, again } = useTool({
    session,
    view,
    name: "netcheck",
    needs: "diagnostics",
    wanted: active,
    opened: (c) => {
      setRuns((all) => all.map((r) => (r.done === null ? { ...r, done: lost } : r)));
      c.send(encode("net.ask", {}));
    },
    message: (m) => {
      const n = readMessage(decodeNet, m);
      if (n?.type === "net.state") setNet(n.body);
      else if (n?.type === "net.sockets")
        setSockets((s) => [...(n.body.first ? [] : (s ?? [])), ...(n.body.sockets ?? [])].slice(0, 20_000));
      else if (n?.type === "net.line")
        setRuns((all) =>
          changed(all, n.re, (r) => ({ ...r, lines: [...r.lines, n.body].slice(-mostLines) })),
        );
      else if (n?.type === "net.done") setRuns((all) => changed(all, n.re, (r) => ({ ...r, done: n.body })));
    },
  });
  const run = (
    what: NetCheck,
    title: string,
    more: { target?: string; port?: number; server?: string; record?: string } = {},
  ) => {
    const id = `run-${++serial.current}`;
    const body = { what, target: "", port: 0, server: "", record: "", count: 0, ...more };
    if (channel?.send(encode("net.run", body, id))) {
      setRuns((all) => [{ id, title, lines: [], done: null }, ...all].slice(0, mostRuns));
    }
  };
  const parts = [
    ["checks", "Checks"],
    ["state", "Connection"],
    ["sockets", "Sockets"],
  ] as const;
  return (
    <>
      <Ended state={state} again={again} />
      <div className="hv-bar">
        {parts.map(([id, label]) => (
          <button
            key={id}
            type="button"
            className="hv-button"
            aria-pressed={part === id}
            onClick={() => {
              setPart(id);
              if (id === "sockets") channel?.send(encode("net.sockets.ask", {}));
              if (id === "state") channel?.send(encode("net.ask", {}));
            }}
          >
            {label}
          </button>
        ))}
      </div>
      {part === "checks" && (
        <Checks
          runs={runs}
          run={run}
          off={channel === null}
          server={target?.text ?? ""}
          stop={(id) => channel?.send(encode("net.stop", { check: id }))}
        />
      )}
      {part === "state" && <Connection net={net} />}
      {part === "sockets" && (
        <Rows
          label="Sockets"
          columns={socketColumns}
          rows={sockets ?? []}
          keyOf={(s) => `${s.proto} ${s.local} ${s.remote} ${s.state} ${s.pid}`}
          chosen={null}
          choose={() => undefined}
          empty={sockets === null ? "Reading the sockets…" : "No socket is open."}
        />
      )}
    </>
  );
}

const lost = { ok: false, message: "The connection to the device was lost meanwhile. Run the check again." };

const changed = (all: readonly Run[], id: string | undefined, by: (r: Run) => Run) =>
  all.map((r) => (r.id === id ? by(r) : r));

const socketColumns: readonly Column<NetSocket>[] = [
  { id: "proto", label: "Kind", width: "3.5em", cell: (s) => s.proto },
  { id: "local", label: "Here", width: "minmax(9em, 1fr)", cell: (s) => s.local },
  { id: "remote", label: "There", width: "minmax(9em, 1fr)", cell: (s) => s.remote },
  { id: "state", label: "State", width: "8em", cell: (s) => s.state },
  {
    id: "process",
    label: "Process",
    width: "9em",
    cell: (s) => (s.pid > 0 ? `${s.process} (${s.pid})` : s.user),
  },
];

const checks: readonly (readonly [NetCheck, string, string])[] = [
  ["ping", "Ping", "Host or address"],
  ["trace", "The way there", "Host or address"],
  ["dns", "Ask DNS", "Name"],
  ["tcp", "TCP connection", "Host or address"],
  ["tls", "TLS and certificate", "Host"],
  ["http", "Web address", "https://example.org/"],
];

interface ChecksProps {
  readonly runs: readonly Run[];
  readonly off: boolean;
  /** A DNS server to begin with. */
  readonly server: string;
  readonly run: (
    what: NetCheck,
    title: string,
    more?: { target?: string; port?: number; server?: string; record?: string },
  ) => void;
  readonly stop: (id: string) => void;
}

function Checks({ runs, run, off, stop, ...props }: ChecksProps): ReactNode {
  const [what, setWhat] = useState<NetCheck>("ping");
  const [target, setTarget] = useState("");
  const [port, setPort] = useState("443");
  const [server, setServer] = useState(props.server);
  const [record, setRecord] = useState("");
  const [, label = "", hint = ""] = checks.find(([w]) => w === what) ?? [];
  const begin = (e: FormEvent) => {
    e.preventDefault();
    const wanted = target.trim();
    if (wanted === "") return;
    const portNumber = what === "tcp" || what === "tls" ? Number(port) || 443 : 0;
    run(what, `${label}: ${wanted}${portNumber > 0 ? ` port ${portNumber}` : ""}`, {
      target: wanted,
      port: Math.min(65535, Math.max(0, Math.trunc(portNumber))),
      ...(what === "dns" ? { server: server.trim(), record } : {}),
    });
  };
  return (
    <>
      <div className="hv-bar">
        <button
          type="button"
          className="hv-button hv-strong"
          disabled={off}
          onClick={() => run("problem", "Find the fault")}
        >
          Find the fault
        </button>
        <button
          type="button"
          className="hv-button"
          disabled={off}
          onClick={() => run("rate", "How fast the way to this server is")}
        >
          Measure throughput
        </button>
      </div>
      <form className="hv-bar" onSubmit={begin}>
        <select
          className="hv-select"
          aria-label="Kind of check"
          value={what}
          onChange={(e) => setWhat(e.target.value as NetCheck)}
        >
          {checks.map(([w, l]) => (
            <option key={w} value={w}>
              {l}
            </option>
          ))}
        </select>
        <input
          className="hv-input-text"
          aria-label="Target of the check"
          placeholder={hint}
          maxLength={2048}
          value={target}
          onChange={(e) => setTarget(e.target.value)}
        />
        {(what === "tcp" || what === "tls") && (
          <input
            className="hv-input-text hv-port"
            aria-label="Port"
            inputMode="numeric"
            value={port}
            onChange={(e) => setPort(e.target.value)}
          />
        )}
        {what === "dns" && (
          <>
            <select
              className="hv-select"
              aria-label="Kind of record"
              value={record}
              onChange={(e) => setRecord(e.target.value)}
            >
              <option value="">Addresses</option>
              {["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"].map((r) => (
                <option key={r}>{r}</option>
              ))}
            </select>
            <input
              className="hv-input-text"
              aria-label="DNS server"
              placeholder="The device's own servers"
              maxLength={256}
              value={server}
              onChange={(e) => setServer(e.target.value)}
            />
          </>
        )}
        <button type="submit" className="hv-button" disabled={off || target.trim() === ""}>
          Run
        </button>
      </form>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard */}
      <section className="hv-body" aria-label="Results" tabIndex={0}>
        {runs.length === 0 && (
          <p className="hv-empty">Checks run on the device, and their output comes here as it is made.</p>
        )}
        {runs.map((r) => (
          <Result key={r.id} run={r} stop={() => stop(r.id)} />
        ))}
      </section>
    </>
  );
}

const toneClass = { plain: undefined, good: "hv-good", bad: "hv-bad" } as const;

function Result({ run, stop }: { readonly run: Run; readonly stop: () => void }): ReactNode {
  return (
    <section aria-label={run.title} className="hv-result">
      <div className="hv-bar">
        <strong className="hv-grow">{run.title}</strong>
        {run.done === null && (
          <button type="button" className="hv-button" onClick={stop}>
            Stop
          </button>
        )}
      </div>
      <pre className="hv-log">
        {run.lines.map((l, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines only ever come at the end
          <span key={i} className={toneClass[l.tone]}>
            {l.text}
            {"\n"}
          </span>
        ))}
      </pre>
      <p className={run.done === null ? "hv-said" : run.done.ok ? "hv-good" : "hv-bad"} role="status">
        {run.done === null ? "Running…" : run.done.message}
      </p>
    </section>
  );
}

function Connection({ net }: { readonly net: NetState | null }): ReactNode {
  if (net === null) return <p className="hv-empty">Reading…</p>;
  const facts: readonly (readonly [string, string])[] = [
    ["Way out", net.gateway || "none"],
    ["DNS servers", (net.dns ?? []).join(", ") || "none"],
    ["Search domains", (net.search ?? []).join(", ")],
    ["This server", net.service],
  ];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached with the keyboard
    <section className="hv-body hv-details-like" aria-label="Connection" tabIndex={0}>
      {net.message !== "" && <p className="hv-bar hv-said">{net.message}</p>}
      <dl className="hv-facts hv-padded">
        {facts
          .filter(([, value]) => value !== "")
          .map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      <table className="hv-table">
        <thead>
          <tr>
            {["Interface", "Addresses", "State", "Received", "Sent", "Errors"].map((h) => (
              <th key={h} scope="col">
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(net.interfaces ?? []).map((i) => (
            <tr key={i.name}>
              <th scope="row">{i.name}</th>
              <td>{(i.addresses ?? []).join(", ")}</td>
              <td>
                {!i.up ? "off" : i.link ? `connected${i.speed > 0 ? `, ${i.speed} Mbit/s` : ""}` : "no link"}
              </td>
              <td>{bytes(i.in)}</td>
              <td>{bytes(i.out)}</td>
              <td>{i.errors + i.dropped}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <table className="hv-table">
        <thead>
          <tr>
            {["Where to", "By way of", "Interface"].map((h) => (
              <th key={h} scope="col">
                {h}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {(net.routes ?? []).map((r) => (
            <tr key={`${r.to} ${r.via} ${r.device} ${r.metric}`}>
              <th scope="row">{r.to}</th>
              <td>{r.via || "directly"}</td>
              <td>{r.device}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
