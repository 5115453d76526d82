/** Which graphs a device has, and how their figures are written. */
import { bytes, percent, rate } from "../../session/units.ts";
import type { VitalsParts } from "../../session/wire.gen.ts";

/** One graph: its lines are names of VitalHistory. */
export interface GraphSpec {
  readonly id: string;
  readonly title: string;
  readonly lines: readonly { readonly name: string; readonly label: string }[];
  readonly write: (n: number) => string;
  /** The top of the scale; the largest figure when left out. */
  readonly most?: number;
}

/** The most lines of one graph: more colours than this nobody tells apart. */
const mostDrawn = 8;

const degrees = (n: number) => `${Math.round(n)} °C`;
const milliseconds = (n: number) => `${n.toFixed(n < 10 ? 1 : 0)} ms`;
const plain = (n: number) => n.toFixed(2);

/** Returns the graphs of a device, the ones that most often say what is wrong first. */
export function graphsOf(parts: VitalsParts): readonly GraphSpec[] {
  const named = (names: readonly string[] | null, before: string, label = "") =>
    (names ?? []).slice(0, mostDrawn).map((n) => ({ name: `${before} ${n}`, label: `${label}${n}` }));
  const graphs: (GraphSpec | false)[] = [
    {
      id: "cpu",
      title: "Processor",
      lines: [{ name: "cpu", label: "all cores" }],
      write: percent,
      most: 100,
    },
    parts.cores > 1 && {
      id: "cores",
      title: "Each core",
      lines: Array.from({ length: Math.min(parts.cores, 32) }, (_, i) => ({
        name: `core ${i}`,
        label: `core ${i}`,
      })),
      write: percent,
      most: 100,
    },
    {
      id: "memory",
      title: `Memory of ${bytes(parts.memory_bytes)}`,
      lines: [{ name: "memory", label: "used" }],
      write: bytes,
      most: parts.memory_bytes,
    },
    parts.swap_bytes > 0 && {
      id: "swap",
      title: `Swap of ${bytes(parts.swap_bytes)}`,
      lines: [{ name: "swap", label: "used" }],
      write: bytes,
      most: parts.swap_bytes,
    },
    {
      id: "load",
      title: "Load",
      lines: [
        { name: "load 1", label: "1 min" },
        { name: "load 5", label: "5 min" },
        { name: "load 15", label: "15 min" },
      ],
      write: plain,
    },
    parts.pressure && {
      id: "pressure",
      title: "Tasks that had to wait",
      lines: [
        { name: "pressure cpu", label: "for a processor" },
        { name: "pressure memory", label: "for memory" },
        { name: "pressure io", label: "for a disk" },
      ],
      write: percent,
    },
    {
      id: "disks",
      title: "Disks: throughput",
      lines: [...named(parts.disks, "read", "read "), ...named(parts.disks, "write", "written ")],
      write: rate,
    },
    {
      id: "latency",
      title: "Disks: a request takes",
      lines: named(parts.disks, "wait"),
      write: milliseconds,
    },
    { id: "busy", title: "Disks: busy", lines: named(parts.disks, "busy"), write: percent, most: 100 },
    {
      id: "fill",
      title: "File systems: full",
      lines: named(
        (parts.volumes ?? []).map((v) => v.mount),
        "fill",
      ),
      write: percent,
      most: 100,
    },
    {
      id: "networks",
      title: "Networks",
      lines: [...named(parts.networks, "in", "in "), ...named(parts.networks, "out", "out ")],
      write: rate,
    },
    { id: "heat", title: "Temperatures", lines: named(parts.sensors, "heat"), write: degrees },
    parts.battery && {
      id: "battery",
      title: "Battery",
      lines: [{ name: "battery", label: "charge" }],
      write: percent,
      most: 100,
    },
  ];
  return graphs.filter((g) => g !== false && g.lines.length > 0) as GraphSpec[];
}
