/**
 * An hour of a device's figures, in memory that is bounded whatever the device says: one ring of numbers
 * per line of a graph. Lines are known by name, so that a disk that is unplugged leaves its line behind.
 */
import type { Vitals, VitalsParts } from "./wire.gen.ts";

/** How many figures are kept, one a second. */
export const keptFigures = 3600;
/** The most lines that are kept: more parts of a machine are not drawn. */
export const mostLines = 600;
/** A pause between two figures that is longer than this many times the usual one is a gap, in milliseconds. */
const gapMs = 5000;

/** A name and its figures, in the order of time; NaN where there was none. */
export type Line = readonly [name: string, values: readonly (number | null)[]];

/** A moment that was kept: everything that was known then. */
export interface Moment {
  /** The device's clock, Unix milliseconds. */
  readonly timeMs: number;
  readonly figures: ReadonlyMap<string, number>;
}

/** See the file's comment. */
export class VitalHistory {
  readonly #times = new Float64Array(keptFigures);
  readonly #lines = new Map<string, Float32Array>();
  #next = 0;
  #count = 0;
  #parts: VitalsParts | null = null;
  #last: Vitals | null = null;

  /** What the figures are of; null before the device has said it. */
  get parts(): VitalsParts | null {
    return this.#parts;
  }

  /** The newest figures, as they came; null before the first. */
  get last(): Vitals | null {
    return this.#last;
  }

  /** How many moments are kept. */
  get count(): number {
    return this.#count;
  }

  /** The time of the oldest and of the newest figures, Unix milliseconds; null while there are none. */
  get span(): readonly [number, number] | null {
    return this.#count === 0 ? null : [this.#timeAt(0), this.#timeAt(this.#count - 1)];
  }

  /** Takes what the figures to come are of. */
  take(parts: VitalsParts): void {
    this.#parts = parts;
  }

  /** Keeps figures. What is older than what is kept already, as after a clock was set back, begins anew. */
  put(v: Vitals): void {
    const parts = this.#parts;
    if (parts === null) return;
    const span = this.span;
    if (span !== null && v.time_ms <= span[1]) this.#clear();
    else if (span !== null && v.time_ms - span[1] > gapMs) this.#push(span[1] + 1, new Map());
    this.#push(v.time_ms, figuresOf(parts, v));
    this.#last = v;
  }

  /**
   * Returns the figures between two times, as lines over their times in seconds. At most `points` of them
   * are given, each being the largest of those it stands for.
   */
  between(
    fromMs: number,
    toMs: number,
    names: readonly string[],
    points: number,
  ): readonly (number | null)[][] {
    const from = this.#indexOf(fromMs);
    const to = this.#indexOf(toMs + 1);
    const step = Math.max(1, Math.ceil((to - from) / points));
    const times: number[] = [];
    for (let i = from; i < to; i += step) times.push(this.#timeAt(i) / 1000);
    return [times, ...names.map((name) => this.#largest(name, from, to, step))];
  }

  /** Returns what was known last at a time; null when nothing was. */
  at(timeMs: number): Moment | null {
    const i = this.#indexOf(timeMs + 1) - 1;
    if (i < 0) return null;
    const figures = new Map<string, number>();
    const slot = this.#slot(i);
    for (const [name, ring] of this.#lines) {
      const value = ring[slot] ?? Number.NaN;
      if (!Number.isNaN(value)) figures.set(name, value);
    }
    return { timeMs: this.#timeAt(i), figures };
  }

  #largest(name: string, from: number, to: number, step: number): (number | null)[] {
    const ring = this.#lines.get(name);
    const out: (number | null)[] = [];
    for (let i = from; i < to; i += step) {
      let most = Number.NaN;
      for (let j = i; j < Math.min(i + step, to); j++) {
        const value = ring?.[this.#slot(j)] ?? Number.NaN;
        if (!(value <= most)) most = Number.isNaN(value) ? most : value;
      }
      out.push(Number.isNaN(most) ? null : most);
    }
    return out;
  }

  #push(timeMs: number, figures: ReadonlyMap<string, number>): void {
    const slot = this.#next;
    this.#next = (this.#next + 1) % keptFigures;
    this.#count = Math.min(this.#count + 1, keptFigures);
    this.#times[slot] = timeMs;
    for (const [name, ring] of this.#lines) ring[slot] = figures.get(name) ?? Number.NaN;
    for (const [name, value] of figures) {
      if (this.#lines.has(name) || this.#lines.size >= mostLines) continue;
      const ring = new Float32Array(keptFigures).fill(Number.NaN);
      ring[slot] = value;
      this.#lines.set(name, ring);
    }
  }

  #clear(): void {
    this.#lines.clear();
    this.#next = 0;
    this.#count = 0;
  }

  /** The place in the rings of the i-th oldest moment. */
  #slot(i: number): number {
    return (this.#next - this.#count + i + 2 * keptFigures) % keptFigures;
  }

  #timeAt(i: number): number {
    return this.#times[this.#slot(i)] ?? 0;
  }

  /** How many moments are before a time. */
  #indexOf(timeMs: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.#timeAt(mid) < timeMs) low = mid + 1;
      else high = mid;
    }
    return low;
  }
}

/** The lines of figures, by name: shares are in per cent, amounts in bytes, rates in bytes a second. */
function figuresOf(parts: VitalsParts, v: Vitals): Map<string, number> {
  const f = new Map<string, number>();
  const cores = v.cores ?? [];
  if (cores.length > 0) f.set("cpu", cores.reduce((a, b) => a + b, 0) / cores.length / 10);
  for (const [i, c] of cores.slice(0, 128).entries()) f.set(`core ${i}`, c / 10);
  for (const [i, name] of ["load 1", "load 5", "load 15"].entries()) {
    const load = v.load?.[i];
    if (load !== undefined) f.set(name, load);
  }
  f.set("memory", v.memory);
  if (parts.swap_bytes > 0) f.set("swap", v.swap);
  if (v.pressure) {
    f.set("pressure cpu", v.pressure.cpu / 10);
    f.set("pressure memory", v.pressure.memory / 10);
    f.set("pressure io", v.pressure.io / 10);
  }
  for (const [i, name] of (parts.disks ?? []).entries()) {
    const d = v.disks?.[i];
    if (d === undefined) continue;
    f.set(`read ${name}`, d.read);
    f.set(`write ${name}`, d.write);
    f.set(`busy ${name}`, d.busy / 10);
    f.set(`wait ${name}`, d.wait);
  }
  for (const [i, volume] of (parts.volumes ?? []).entries()) {
    const used = v.volumes?.[i];
    if (used !== undefined && volume.bytes > 0) f.set(`fill ${volume.mount}`, (used / volume.bytes) * 100);
  }
  for (const [i, name] of (parts.networks ?? []).entries()) {
    const n = v.networks?.[i];
    if (n === undefined) continue;
    f.set(`in ${name}`, n.in);
    f.set(`out ${name}`, n.out);
  }
  for (const [i, name] of (parts.sensors ?? []).entries()) {
    const degrees = v.sensors?.[i];
    if (degrees !== undefined) f.set(`heat ${name}`, degrees);
  }
  if (v.battery) f.set("battery", v.battery.charge / 10);
  return f;
}
