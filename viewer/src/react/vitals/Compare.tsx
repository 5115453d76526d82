/** Two moments side by side: what was kept, from this device or a file, and now. */
import { type ChangeEvent, type ReactNode, useState } from "react";
import { dayAndClock } from "../../session/units.ts";
import type { GraphSpec } from "./graphs.ts";
import { type KeptMoment, readMoment } from "./moments.ts";

interface CompareProps {
  readonly graphs: readonly GraphSpec[];
  readonly kept: readonly KeptMoment[];
  /** The newest figures. */
  readonly now: KeptMoment | null;
  readonly add: (m: KeptMoment) => void;
  readonly save: (m: KeptMoment) => void;
  readonly close: () => void;
}

/** See the file's comment. */
export function Compare({ graphs, kept, now, add, save, close }: CompareProps): ReactNode {
  const [left, setLeft] = useState("0");
  const [right, setRight] = useState("now");
  const [wrong, setWrong] = useState("");
  const of = (key: string) => (key === "now" ? now : (kept[Number(key)] ?? null));
  const a = of(left);
  const b = of(right);
  const take = async (e: ChangeEvent<HTMLInputElement>) => {
    const file = e.target.files?.[0];
    if (file === undefined) return;
    const read = readMoment(file.size > 2 << 20 ? " ".repeat(2 << 20) : await file.text());
    setWrong(typeof read === "string" ? read : "");
    if (typeof read !== "string") add(read);
  };
  const choice = (label: string, value: string, set: (v: string) => void) => (
    <select className="hv-select" aria-label={label} value={value} onChange={(e) => set(e.target.value)}>
      <option value="now">Now</option>
      {kept.map((m, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: moments are only ever added
        <option key={i} value={String(i)}>
          {m.device} {dayAndClock(m.timeMs)}
        </option>
      ))}
    </select>
  );
  return (
    <section className="hv-compare" aria-label="Compare two moments">
      <div className="hv-bar">
        {choice("First moment", left, setLeft)}
        {choice("Second moment", right, setRight)}
        <button type="button" className="hv-button" disabled={a === null} onClick={() => a && save(a)}>
          Save the first
        </button>
        <label className="hv-button">
          Open a file…
          <input className="hv-hidden" type="file" accept="application/json" onChange={(e) => void take(e)} />
        </label>
        <button type="button" className="hv-button" onClick={close}>
          Close
        </button>
      </div>
      {wrong !== "" && (
        <p className="hv-banner" role="alert">
          {wrong}
        </p>
      )}
      <table className="hv-table">
        <thead>
          <tr>
            <th scope="col">Figure</th>
            <th scope="col">{a === null ? "First" : `${a.device}, ${dayAndClock(a.timeMs)}`}</th>
            <th scope="col">{b === null ? "Second" : `${b.device}, ${dayAndClock(b.timeMs)}`}</th>
            <th scope="col">Difference</th>
          </tr>
        </thead>
        <tbody>
          {graphs.flatMap((g) =>
            g.lines.map((line) => {
              const x = a?.figures.get(line.name);
              const y = b?.figures.get(line.name);
              return (
                <tr key={line.name}>
                  <th scope="row">
                    {g.title}, {line.label}
                  </th>
                  <td>{x === undefined ? "–" : g.write(x)}</td>
                  <td>{y === undefined ? "–" : g.write(y)}</td>
                  <td>{x === undefined || y === undefined ? "–" : signed(y - x, g.write)}</td>
                </tr>
              );
            }),
          )}
        </tbody>
      </table>
    </section>
  );
}

const signed = (n: number, write: (n: number) => string) =>
  n === 0 ? "the same" : n > 0 ? `+${write(n)}` : `−${write(-n)}`;
