/** What an operator drops or chooses: files, and folders with all that is in them. */
import type { UploadItem } from "./transfer.ts";

/** Files beyond this are not taken in one go: the page would hold a name for each. */
const mostFiles = 20_000;

/** Whether a drag carries files of this computer. */
export function carriesFiles(d: DataTransfer | null): boolean {
  return d?.types.includes("Files") === true;
}

/** Takes out what was dropped. Must be called while the event is handled: the browser forgets it afterwards. */
export function droppedFiles(d: DataTransfer): Promise<readonly UploadItem[]> {
  const entries: FileSystemEntry[] = [];
  const files: File[] = [];
  for (const item of d.items) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry();
    if (entry !== null) entries.push(entry);
    else {
      const file = item.getAsFile();
      if (file !== null) files.push(file);
    }
  }
  return walked(entries, files);
}

async function walked(
  entries: readonly FileSystemEntry[],
  files: readonly File[],
): Promise<readonly UploadItem[]> {
  const out: UploadItem[] = files.map((file) => ({ folders: [], file }));
  const todo = entries.map((entry) => ({ entry, folders: [] as readonly string[] }));
  for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
    const { entry, folders } = next;
    if (entry.isFile) {
      const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
      out.push({ folders, file });
      if (out.length > mostFiles)
        throw new Error(`That is more than ${mostFiles} files; send it in parts, or as an archive.`);
      continue;
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    for (;;) {
      const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
      if (some.length === 0) break;
      todo.push(...some.map((child) => ({ entry: child, folders: [...folders, entry.name] })));
    }
  }
  return out;
}

/** Files of an <input>, whose folder is kept where a folder was chosen. */
export function chosenFiles(list: FileList): readonly UploadItem[] {
  if (list.length > mostFiles)
    throw new Error(`That is more than ${mostFiles} files; send it in parts, or as an archive.`);
  return Array.from(list, (file) => ({ folders: file.webkitRelativePath.split("/").slice(0, -1), file }));
}

type Picker = (o: { suggestedName: string }) => Promise<FileSystemFileHandle>;

/** Has the operator choose where a download goes. Null: the browser has no such choice; undefined: they want none. */
export async function chooseTarget(name: string): Promise<FileSystemFileHandle | null | undefined> {
  const pick = (window as unknown as { showSaveFilePicker?: Picker }).showSaveFilePicker;
  if (pick === undefined) return null;
  try {
    return await pick.call(window, { suggestedName: name });
  } catch (cause) {
    return cause instanceof DOMException && cause.name === "AbortError" ? undefined : null;
  }
}
