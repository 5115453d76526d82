/** The questions before something is changed: a name, whether to delete, permissions. */
import { type FormEvent, type ReactNode, useState } from "react";
import type { FileEntry } from "../../session/wire.gen.ts";
import { Dialog } from "../Dialogs.tsx";
import { modeWords, nameFault } from "./words.ts";

/** Does something and says why it did not work; true when it did. */
export type Attempt = (run: () => Promise<unknown>) => Promise<string | null>;

interface FormProps {
  readonly title: string;
  readonly action: string;
  readonly danger?: boolean;
  readonly close: () => void;
  /** Returns why it did not work, or null. */
  readonly submit: () => Promise<string | null>;
  readonly children: ReactNode;
}

function Form({ title, action, danger, close, submit, children }: FormProps): ReactNode {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const go = async (e: FormEvent) => {
    e.preventDefault();
    setBusy(true);
    const why = await submit();
    setBusy(false);
    setFailure(why);
    if (why === null) close();
  };
  return (
    <Dialog title={title} close={close}>
      <form onSubmit={(e) => void go(e)} className="hv-files-form">
        {children}
        {failure !== null && <p role="alert">{failure}</p>}
        <div className="hv-files-choices">
          <button
            type="submit"
            className={danger ? "hv-button hv-danger" : "hv-button hv-strong"}
            disabled={busy}
          >
            {busy ? "Wait…" : action}
          </button>
          <button
            type="button"
            className="hv-button"
            // biome-ignore lint/a11y/noAutofocus: a stray Enter must not delete
            autoFocus={danger === true}
            onClick={close}
          >
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** Asks for a name. */
export function NameForm(props: {
  readonly title: string;
  readonly action: string;
  readonly was: string;
  readonly close: () => void;
  readonly submit: (name: string) => Promise<string | null>;
}): ReactNode {
  const [name, setName] = useState(props.was);
  return (
    <Form {...props} submit={async () => nameFault(name) ?? (await props.submit(name))}>
      <label className="hv-files-field">
        Name
        <input
          // biome-ignore lint/a11y/noAutofocus: the dialog was opened to type here
          autoFocus
          value={name}
          onFocus={(e) =>
            e.target.setSelectionRange(0, name.lastIndexOf(".") > 0 ? name.lastIndexOf(".") : name.length)
          }
          onChange={(e) => setName(e.target.value)}
        />
      </label>
    </Form>
  );
}

/** Asks whether to delete. */
export function DeleteForm(props: {
  readonly entries: readonly FileEntry[];
  readonly progress: string;
  readonly close: () => void;
  readonly submit: () => Promise<string | null>;
}): ReactNode {
  const { entries } = props;
  const title = entries.length === 1 ? "Delete this?" : `Delete these ${entries.length}?`;
  return (
    <Form {...props} title={title} action="Delete for good" danger>
      <ul className="hv-files-names">
        {entries.slice(0, 8).map((e) => (
          <li key={e.name.text}>
            <bdi>{e.name.text}</bdi>
            {e.kind === "folder" && <strong> with all that is in it</strong>}
          </li>
        ))}
        {entries.length > 8 && <li>and {entries.length - 8} more</li>}
      </ul>
      <p>They do not go to a bin: nobody can bring them back.</p>
      {props.progress !== "" && <p role="status">{props.progress}</p>}
    </Form>
  );
}

const bits = [
  ["Owner", 6],
  ["Group", 3],
  ["Others", 0],
] as const;
const rights = [
  ["read", 4],
  ["write", 2],
  ["open or run", 1],
] as const;

/** What a permission form gives. */
export interface Permissions {
  readonly mode: number;
  readonly owner: string;
  readonly group: string;
  readonly within: boolean;
}

/** Asks for permissions and, of an administrator, the owner. */
export function PermissionsForm(props: {
  readonly entries: readonly FileEntry[];
  readonly admin: boolean;
  readonly close: () => void;
  readonly submit: (p: Permissions) => Promise<string | null>;
}): ReactNode {
  const first = props.entries[0];
  const [mode, setMode] = useState(first?.mode ?? 0o644);
  const [owner, setOwner] = useState(first?.owner ?? "");
  const [group, setGroup] = useState(first?.group ?? "");
  const [within, setWithin] = useState(false);
  const changed = (now: string, was: string | undefined) => (now === was ? "" : now);
  return (
    <Form
      {...props}
      title="Permissions"
      action="Set"
      submit={() =>
        props.submit({
          mode,
          owner: changed(owner, first?.owner),
          group: changed(group, first?.group),
          within,
        })
      }
    >
      <table className="hv-files-rights">
        <thead>
          <tr>
            <td />
            {rights.map(([word]) => (
              <th key={word} scope="col">
                {word}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {bits.map(([who, shift]) => (
            <tr key={who}>
              <th scope="row">{who}</th>
              {rights.map(([word, bit]) => (
                <td key={word}>
                  <input
                    type="checkbox"
                    aria-label={`${who}: ${word}`}
                    checked={(mode & (bit << shift)) !== 0}
                    onChange={() => setMode(mode ^ (bit << shift))}
                  />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      <p>
        <code>
          {modeWords(mode)} ({mode.toString(8).padStart(4, "0")})
        </code>
      </p>
      {props.admin && (
        <div className="hv-files-owner">
          <label className="hv-files-field">
            Owner <input value={owner} onChange={(e) => setOwner(e.target.value)} />
          </label>
          <label className="hv-files-field">
            Group <input value={group} onChange={(e) => setGroup(e.target.value)} />
          </label>
        </div>
      )}
      {props.entries.some((e) => e.kind === "folder") && (
        <label className="hv-files-check">
          <input type="checkbox" checked={within} onChange={(e) => setWithin(e.target.checked)} /> Also all
          that is in the folder
        </label>
      )}
    </Form>
  );
}
