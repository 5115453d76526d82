/** Folders of this computer that the operator has opened to the page, where the browser knows how. */
import { nameOf } from "../session/files.ts";
import type { FileEntry } from "../session/wire.gen.ts";
import type { UploadItem } from "./transfer.ts";

/** A folder, with the parts of it that TypeScript's library does not know. */
export type LocalFolder = FileSystemDirectoryHandle & { values(): AsyncIterable<FileSystemHandle> };

type Picker = (o: { mode: "readwrite" }) => Promise<LocalFolder>;

const picker = (): Picker | undefined =>
  (window as unknown as { showDirectoryPicker?: Picker }).showDirectoryPicker;

/** Whether this browser can open a folder at all. */
export const canOpenFolders = (): boolean => picker() !== undefined;

/** Has the operator choose a folder; null when they want none. */
export async function pickFolder(): Promise<LocalFolder | null> {
  try {
    return (await picker()?.call(window, { mode: "readwrite" })) ?? null;
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") return null;
    throw cause;
  }
}

/** Entries beyond this are not shown. */
const mostEntries = 20_000;

/** What a folder holds, as the device's folders are told. */
export async function localEntries(folder: LocalFolder): Promise<readonly FileEntry[]> {
  const out: FileEntry[] = [];
  for await (const h of folder.values()) {
    const file = h.kind === "file" ? await (h as FileSystemFileHandle).getFile().catch(() => null) : null;
    out.push({
      name: nameOf(h.name),
      kind: h.kind === "file" ? "file" : "folder",
      size: file?.size ?? 0,
      modified_ms: file?.lastModified ?? 0,
      mode: 0,
      owner: "",
      group: "",
    });
    if (out.length >= mostEntries) break;
  }
  return out;
}

/** The files of those names, and all that is in folders of those names. */
export async function localFiles(
  folder: LocalFolder,
  names: readonly string[],
): Promise<readonly UploadItem[]> {
  const out: UploadItem[] = [];
  const walk = async (at: LocalFolder, folders: readonly string[], take: (name: string) => boolean) => {
    for await (const h of at.values()) {
      if (!take(h.name)) continue;
      if (h.kind === "file") out.push({ folders, file: await (h as FileSystemFileHandle).getFile() });
      else await walk(h as LocalFolder, [...folders, h.name], () => true);
      if (out.length > mostEntries)
        throw new Error(`That is more than ${mostEntries} files; send it in parts.`);
    }
  };
  const wanted = new Set(names);
  await walk(folder, [], (name) => wanted.has(name));
  return out;
}

/** A new file in a folder, of a name that nothing there has yet: "name (2).txt" where it has. */
export async function newFile(folder: LocalFolder, name: string): Promise<FileSystemFileHandle> {
  const dot = name.lastIndexOf(".");
  const [stem, ext] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
  for (let n = 1; ; n++) {
    const tried = n === 1 ? name : `${stem} (${n})${ext}`;
    const isThere = await folder.getFileHandle(tried).then(
      () => true,
      (cause: unknown) => !(cause instanceof DOMException && cause.name === "NotFoundError"),
    );
    if (!isThere) return folder.getFileHandle(tried, { create: true });
    if (n > 999) throw new Error(`There are too many files called ${name}.`);
  }
}
