/** The transfers between this computer and the device, and what can be done with each. */
import { type ReactNode, useState, useSyncExternalStore } from "react";
import { type Answer, type Download, offer, type TransferView, Upload } from "../../files/transfer.ts";
import type { Transfers } from "../../files/transfers.ts";
import { bytes, dayAndClock, duration, rate } from "../../session/units.ts";
import { Dialog } from "../Dialogs.tsx";

/** See the file's comment. Nothing while there are none. */
export function Queue({ transfers }: { readonly transfers: Transfers }): ReactNode {
  const views = useSyncExternalStore(transfers.subscribe, () => transfers.views);
  if (views.length === 0) return null;
  const asking = views.find((v) => v.state === "asking");
  const over = views.filter((v) => v.state === "done" || v.state === "cancelled").length;
  return (
    <section className="hv-files-queue" aria-label="Transfers">
      <header>
        <strong>Transfers</strong>
        {over > 0 && (
          <button type="button" className="hv-button hv-small" onClick={() => transfers.tidy()}>
            Clear finished
          </button>
        )}
      </header>
      <ul>
        {views.toReversed().map((v) => (
          <Row key={v.id} view={v} transfers={transfers} />
        ))}
      </ul>
      {asking?.conflict && <Conflict view={asking} transfers={transfers} />}
    </section>
  );
}

const states: Readonly<Record<TransferView["state"], string>> = {
  waiting: "Waiting",
  moving: "Moving",
  paused: "Paused",
  asking: "There is a file of that name",
  done: "Done",
  failed: "Did not work",
  cancelled: "Cancelled",
};

function Row({
  view: v,
  transfers,
}: {
  readonly view: TransferView;
  readonly transfers: Transfers;
}): ReactNode {
  const t = transfers.of(v.id);
  if (t === undefined) return null;
  const isOver = v.state === "done" || v.state === "cancelled";
  const button = (label: string, run: () => void) => (
    <button type="button" className="hv-button hv-small" aria-label={`${label}: ${v.title}`} onClick={run}>
      {label}
    </button>
  );
  const { saved } = v;
  return (
    <li className={`hv-files-transfer hv-files-${v.state}`}>
      <div className="hv-files-what">
        <span aria-hidden="true">{v.direction === "up" ? "↑" : "↓"}</span>
        <bdi>{v.title}</bdi>
        <bdi className="hv-files-soft">{v.place && `${v.direction === "up" ? "to" : "from"} ${v.place}`}</bdi>
      </div>
      {!isOver && (
        <progress
          aria-label={v.title}
          {...(v.total === null ? {} : { value: v.moved, max: Math.max(1, v.total) })}
        />
      )}
      <div className="hv-files-state" role="status">
        {figures(v)} {v.message}
        {v.sha256 !== "" && (
          <code title="SHA-256, the same on both ends">SHA-256 {v.sha256.slice(0, 12)}…</code>
        )}
      </div>
      <div className="hv-files-buttons">
        {(v.state === "moving" || v.state === "waiting") && button("Pause", () => t.pause())}
        {v.state === "paused" && button("Resume", () => t.resume())}
        {v.state === "failed" && button("Retry", () => t.resume())}
        {v.state === "failed" && t instanceof Upload && button("Start over", () => t.startOver())}
        {saved !== null && button("Save", () => offer(saved))}
        {isOver ? button("Remove", () => transfers.remove(v.id)) : button("Cancel", () => t.cancel())}
      </div>
    </li>
  );
}

function figures(v: TransferView): string {
  const of = v.total === null ? bytes(v.moved) : `${bytes(v.moved)} of ${bytes(v.total)}`;
  if (v.state === "done") return `Done: ${bytes(v.moved)}.`;
  if (v.state !== "moving") return `${states[v.state]}: ${of}.`;
  const left =
    v.total !== null && v.rate > 0 ? `, ${duration(((v.total - v.moved) / v.rate) * 1000)} left` : "";
  return v.rate > 0 ? `${of}, ${rate(v.rate)}${left}` : of;
}

function Conflict({
  view,
  transfers,
}: {
  readonly view: TransferView;
  readonly transfers: Transfers;
}): ReactNode {
  const [all, setAll] = useState(false);
  const t = transfers.of(view.id) as Upload | Download | undefined;
  if (!(t instanceof Upload) || view.conflict === null) return null;
  const { there, comes } = view.conflict;
  const choose = (a: Answer) => t.answer(a, all);
  return (
    <Dialog title="There is a file of that name already" close={() => t.cancel()}>
      <p>
        <bdi>{there.name.text}</bdi> in <bdi>{view.place}</bdi>
      </p>
      <dl className="hv-files-compare">
        <dt>There</dt>
        <dd>
          {bytes(there.size)}, changed {dayAndClock(there.modified_ms)}
        </dd>
        <dt>Yours</dt>
        <dd>
          {bytes(comes.size)}, changed {dayAndClock(comes.lastModified)}
        </dd>
      </dl>
      <label className="hv-files-check">
        <input type="checkbox" checked={all} onChange={(e) => setAll(e.target.checked)} /> The same for all
        that follow
      </label>
      <div className="hv-files-choices">
        <button type="button" className="hv-button hv-strong" onClick={() => choose("keep")}>
          Keep both
        </button>
        <button type="button" className="hv-button hv-danger" onClick={() => choose("replace")}>
          Replace
        </button>
        <button type="button" className="hv-button" onClick={() => choose("skip")}>
          Skip
        </button>
        <button type="button" className="hv-button" onClick={() => t.cancel()}>
          Cancel all
        </button>
      </div>
    </Dialog>
  );
}
