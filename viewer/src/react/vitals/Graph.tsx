/** One graph over time with its figures in text beside it, which is what screen readers are given. */
import { type ReactNode, useEffect, useRef } from "react";
import uPlot from "uplot";
import { clock } from "../../session/units.ts";
import type { VitalHistory } from "../../session/vitalhistory.ts";
import type { GraphSpec } from "./graphs.ts";
import "uplot/dist/uPlot.min.css";

/** What part of the time is drawn, Unix milliseconds of the device. */
export interface Window {
  readonly fromMs: number;
  readonly toMs: number;
}

interface GraphProps {
  readonly spec: GraphSpec;
  readonly history: VitalHistory;
  readonly window: Window;
  /** The figures to write: those under the pointer, or the newest of the window. */
  readonly figures: ReadonlyMap<string, number> | null;
  /** The pointer is over this time, or over none. */
  readonly pointed: (timeMs: number | null) => void;
  /** Light or dark; the drawing is made anew when it changes. */
  readonly scheme: string;
}

const height = 96;

/** See the file's comment. */
export function Graph({ spec, history, window, figures, pointed, scheme }: GraphProps): ReactNode {
  const element = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the scheme changes what the colours resolve to
  useEffect(() => {
    const el = element.current;
    if (el === null) return;
    const made = new uPlot(optionsOf(spec, el, pointed), [[], ...spec.lines.map(() => [])], el);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (el.clientWidth > 0) made.setSize({ width: el.clientWidth, height });
    });
    observer.observe(el);
    return () => {
      observer.disconnect();
      plot.current = null;
      made.destroy();
    };
  }, [spec, pointed, scheme]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a plot made anew has no figures yet
  useEffect(() => {
    const p = plot.current;
    if (p === null) return;
    const names = spec.lines.map((l) => l.name);
    const points = Math.max(60, Math.min(600, p.width));
    const data = history.between(window.fromMs, window.toMs, names, points);
    p.batch(() => {
      p.setData(data as uPlot.AlignedData, false);
      p.setScale("x", { min: window.fromMs / 1000, max: window.toMs / 1000 });
      p.setScale("y", { min: 0, max: spec.most ?? topOf(data) });
    });
  }, [spec, history, window, scheme]);

  return (
    <section className="hv-graph" aria-label={spec.title}>
      <h3>{spec.title}</h3>
      <div ref={element} className="hv-plot" aria-hidden="true" />
      <dl className="hv-legend">
        {spec.lines.map((line, i) => (
          <div key={line.name}>
            <dt>
              <span
                className="hv-swatch"
                style={{ background: `var(--hv-line-${i % 8})` }}
                aria-hidden="true"
              />
              {line.label}
            </dt>
            <dd>{written(spec, figures?.get(line.name))}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

const written = (spec: GraphSpec, n: number | undefined) => (n === undefined ? "–" : spec.write(n));

/** The top of a scale that nothing fixes: a little over the largest figure. */
function topOf(data: readonly (number | null)[][]): number {
  let most = 0;
  for (const line of data.slice(1)) for (const v of line) if (v !== null && v > most) most = v;
  return most === 0 ? 1 : most * 1.1;
}

const hourAndMinute = (seconds: number) => clock(seconds * 1000).slice(0, 5);

function optionsOf(spec: GraphSpec, el: HTMLElement, pointed: (ms: number | null) => void): uPlot.Options {
  const style = getComputedStyle(el);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  const axis: uPlot.Axis = {
    stroke: colour("--hv-soft"),
    grid: { stroke: colour("--hv-line"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width: Math.max(el.clientWidth, 50),
    height,
    legend: { show: false },
    padding: [6, 4, 0, 0],
    cursor: { sync: { key: "handrail-vitals" }, drag: { setScale: false, x: false, y: false }, y: false },
    scales: { x: { time: true, auto: false }, y: { auto: false } },
    axes: [
      { ...axis, size: 20, space: 70, values: (_, splits) => splits.map(hourAndMinute) },
      {
        ...axis,
        size: 66,
        space: 30,
        ...(spec.most === undefined ? {} : { splits: [0, spec.most / 2, spec.most] }),
        values: (_, splits) => splits.map((v) => spec.write(v)),
      },
    ],
    series: [
      {},
      ...spec.lines.map((line, i) => ({
        label: line.label,
        stroke: colour(`--hv-line-${i % 8}`),
        width: 1.5,
        points: { show: false },
        ...(spec.lines.length === 1 ? { fill: `${colour(`--hv-line-${i % 8}`)}26` } : {}),
      })),
    ],
    hooks: {
      setCursor: [
        (u) => {
          const left = u.cursor.left ?? -1;
          pointed(left < 0 ? null : u.posToVal(left, "x") * 1000);
        },
      ],
    },
  };
}
