/** A file looked into: a text, which can be changed in place, or an image, which only the browser reads. */
import { type ReactNode, useEffect, useState } from "react";
import type { Session } from "../../browser/session.ts";
import { mostImage, mostText, type Peeked, peek, writeBack } from "../../files/peek.ts";
import { type Decoded, decodeText, encodeText } from "../../files/text.ts";
import { parentOf } from "../../session/files.ts";
import { bytes } from "../../session/units.ts";
import type { FileEntry, FileName } from "../../session/wire.gen.ts";
import { Dialog } from "../Dialogs.tsx";

// No SVG: it is a program more than a picture.
const images: Readonly<Record<string, string>> = {
  png: "image/png",
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  gif: "image/gif",
  webp: "image/webp",
  avif: "image/avif",
  bmp: "image/bmp",
  ico: "image/x-icon",
};

const imageType = (name: string): string | undefined => images[name.split(".").at(-1)?.toLowerCase() ?? ""];

interface PreviewProps {
  readonly session: Session;
  readonly admin: boolean;
  readonly path: FileName;
  readonly entry: FileEntry;
  readonly close: () => void;
  readonly saved: () => void;
  readonly download: () => void;
}

/** See the file's comment. */
export function Preview(props: PreviewProps): ReactNode {
  const { session, admin, close } = props;
  // One file for as long as the dialog is open, whatever is drawn around it.
  const [{ path, entry }] = useState(props);
  const [got, setGot] = useState<Peeked | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const [look, setLook] = useState(0);
  const type = imageType(entry.name.text);
  const limit = type === undefined ? mostText : mostImage;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new look fetches again
  useEffect(() => {
    let over = false;
    peek(session, admin, path, entry.kind === "link", limit).then(
      (p) => !over && setGot(p),
      (cause: unknown) => !over && setFailure(cause instanceof Error ? cause.message : "No answer."),
    );
    return () => {
      over = true;
    };
  }, [session, admin, path, entry.kind, limit, look]);

  return (
    <Dialog title={entry.name.text} close={close}>
      <div className="hv-files-preview">
        {failure !== null && <p role="alert">{failure}</p>}
        {failure === null && got === null && <p>Fetching…</p>}
        {got !== null && type !== undefined && <Image got={got} type={type} name={entry.name.text} />}
        {got !== null && type === undefined && (
          <Text
            {...props}
            key={got.meta.version}
            got={got}
            again={() => {
              setGot(null);
              setLook((n) => n + 1);
            }}
          />
        )}
      </div>
    </Dialog>
  );
}

function Image(props: { readonly got: Peeked; readonly type: string; readonly name: string }): ReactNode {
  const { got, type, name } = props;
  const [url, setUrl] = useState("");
  const [broken, setBroken] = useState(false);
  const isCut = got.meta.size > got.bytes.length;
  useEffect(() => {
    const made = URL.createObjectURL(new Blob([got.bytes], { type }));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [got, type]);
  if (isCut)
    return (
      <p>
        The image has {bytes(got.meta.size)}; only images up to {bytes(mostImage)} are shown. Download it.
      </p>
    );
  if (broken) return <p role="alert">The browser cannot read this as an image.</p>;
  return url === "" ? null : <img src={url} alt={name} onError={() => setBroken(true)} />;
}

function Text(props: PreviewProps & { readonly got: Peeked; readonly again: () => void }): ReactNode {
  const { got, session, admin } = props;
  const isCut = got.meta.size > got.bytes.length;
  const [was] = useState<Decoded | null>(() => decodeText(got.bytes, isCut));
  // The field of a page has only line feeds; what the file had is put back when it is saved.
  const [crlf] = useState(() => was?.text.includes("\r\n") === true);
  const mixed = was !== null && /(^|[^\r])\n/.test(was.text) && crlf;
  const [text, setText] = useState(() => was?.text.replaceAll("\r\n", "\n") ?? "");
  const [saving, setSaving] = useState(false);
  const [message, setMessage] = useState("");
  if (was === null)
    return (
      <>
        <p>This is not text, so there is nothing to show: {bytes(got.meta.size)}.</p>
        <button type="button" className="hv-button hv-strong" onClick={props.download}>
          Download
        </button>
      </>
    );
  const editable = was.editable && !mixed && !was.text.replaceAll("\r\n", "").includes("\r");
  const changed = editable && text !== was.text.replaceAll("\r\n", "\n");
  const save = async () => {
    setSaving(true);
    try {
      const out = encodeText(crlf ? text.replaceAll("\n", "\r\n") : text, was.encoding);
      if (out.length > mostText)
        throw new Error(`The text is longer than ${bytes(mostText)}; edit it elsewhere and upload it.`);
      const { path, version, entry } = got.meta;
      await writeBack(session, admin, { folder: parentOf(path), name: entry.name, version }, out);
      props.saved();
    } catch (cause) {
      setMessage(cause instanceof Error ? cause.message : "It could not be saved.");
    } finally {
      setSaving(false);
    }
  };
  let why = "";
  if (isCut)
    why = `Only the first ${bytes(got.bytes.length)} of ${bytes(got.meta.size)} are shown; it cannot be changed here.`;
  else if (!editable)
    why = `${was.encoding} or its line ends could not be written back unchanged, so it is only shown.`;
  return (
    <>
      <textarea
        className="hv-files-text"
        aria-label={`Content of ${props.entry.name.text}`}
        spellCheck={false}
        readOnly={!editable || saving}
        value={text}
        onChange={(e) => setText(e.target.value)}
        onKeyDown={(e) => {
          if (e.key === "s" && (e.ctrlKey || e.metaKey)) {
            e.preventDefault();
            if (changed) void save();
          }
        }}
      />
      <p className="hv-files-soft">
        {was.encoding}, {crlf ? "CR LF" : "LF"}, {bytes(got.meta.size)}. {why}
      </p>
      {message !== "" && <p role="alert">{message}</p>}
      <div className="hv-files-choices">
        {editable && (
          <button
            type="button"
            className="hv-button hv-strong"
            disabled={!changed || saving}
            onClick={() => void save()}
          >
            {saving ? "Saving…" : "Save"}
          </button>
        )}
        {message !== "" && (
          <button type="button" className="hv-button" onClick={props.again}>
            Load it again; my changes go
          </button>
        )}
        <button type="button" className="hv-button" onClick={props.close}>
          {changed ? "Leave without saving" : "Close"}
        </button>
      </div>
    </>
  );
}
