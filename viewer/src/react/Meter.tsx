/** The connection meter: one line in the toolbar, all figures and their cause when opened. */
import { type ReactNode, useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { Meter as Figures } from "../browser/meter.ts";
import type { Session } from "../browser/session.ts";
import type { LatencyReport, Shares } from "../session/latency.ts";
import { Icon } from "./icons.tsx";

const shareNames: readonly (readonly [keyof Shares, string])[] = [
  ["network", "Network"],
  ["program", "Program"],
  ["capture", "Capture"],
  ["encode", "Encode"],
  ["queue", "Sending"],
  ["decode", "Decode"],
  ["display", "Display"],
];

/** See the file's comment. */
export function Meter({ session }: { readonly session: Session }): ReactNode {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const m = useSyncExternalStore(
    (changed) => session.on("meter", changed),
    () => session.meter,
  );

  useEffect(() => {
    session.metered = open;
    if (!open) return;
    const outside = (e: Event) => {
      if (e.target instanceof Node && !root.current?.contains(e.target)) setOpen(false);
    };
    document.addEventListener("pointerdown", outside);
    return () => {
      session.metered = false;
      document.removeEventListener("pointerdown", outside);
    };
  }, [open, session]);

  const rtt = m?.rttMs ?? null;
  const short = rtt === null ? "–" : `${milliseconds(rtt)} ms`;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: only catches Escape from what is inside
    <div
      className="hv-menu"
      ref={root}
      onKeyDown={(e) => {
        if (e.key === "Escape" && open) setOpen(false);
      }}
    >
      <button
        type="button"
        className="hv-button"
        aria-label={`Connection: round trip ${short}`}
        title="Connection"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <Icon name="meter" />
        <span className="hv-text hv-figures">{short}</span>
      </button>
      {open && (
        <section className="hv-popover hv-meter" aria-label="Connection">
          {m === null ? (
            <p>Not connected.</p>
          ) : (
            <Panel
              m={m}
              latency={session.latency.report(performance.now(), m)}
              firstMs={session.firstPictureMs}
            />
          )}
        </section>
      )}
    </div>
  );
}

function Panel(props: {
  readonly m: Figures;
  readonly latency: LatencyReport;
  readonly firstMs: number | null;
}): ReactNode {
  const { m, latency, firstMs } = props;
  const route = m.relayed === null ? "–" : m.relayed ? "Over a relay" : "Direct";
  return (
    <>
      <dl className="hv-facts">
        <Fact name="Round trip" value={m.rttMs === null ? "–" : `${milliseconds(m.rttMs)} ms`} />
        <Fact name="Pictures" value={`${Math.round(m.fps)} a second`} />
        <Fact name="Received" value={`${Math.round(m.kbitPerSecond).toLocaleString("en")} kbit/s`} />
        <Fact name="Resolution" value={m.width === 0 ? "–" : `${m.width} × ${m.height}`} />
        <Fact name="Codec" value={m.codec || "–"} />
        <Fact name="Path" value={m.protocol === "" ? route : `${route}, ${m.protocol.toUpperCase()}`} />
        {m.loss > 0.001 && <Fact name="Lost packets" value={`${(m.loss * 100).toFixed(1)} %`} />}
        {firstMs !== null && <Fact name="First picture after" value={`${Math.round(firstMs)} ms`} />}
        <Fact
          name="Click to picture"
          value={latency.clickToPictureMs === null ? "–" : `${Math.round(latency.clickToPictureMs)} ms`}
        />
      </dl>
      {latency.shares !== null && <Bars shares={latency.shares} />}
      <p className="hv-cause">{latency.cause}</p>
    </>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string }): ReactNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Bars({ shares }: { readonly shares: Shares }): ReactNode {
  const most = Math.max(1, ...Object.values(shares));
  return (
    <ul className="hv-bars" aria-label="Where the time goes">
      {shareNames.map(([key, name]) => (
        <li key={key}>
          <span>{name}</span>
          <progress max={most} value={shares[key]} aria-label={name} />
          <span className="hv-figures">{milliseconds(shares[key])} ms</span>
        </li>
      ))}
    </ul>
  );
}

/** One decimal below ten, none above. */
function milliseconds(ms: number): string {
  return ms < 10 ? ms.toFixed(1) : String(Math.round(ms));
}
