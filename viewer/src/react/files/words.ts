/** Files in words and figures. */
import type { FileEntry, FileKind } from "../../session/wire.gen.ts";

const kinds: Readonly<Record<FileKind, string>> = {
  file: "File",
  folder: "Folder",
  link: "Link",
  device: "Device",
  socket: "Socket",
  fifo: "Pipe",
  gone: "Link to nothing",
  other: "Not readable",
};

/** What stands at a name, for people. */
export function kindWords(e: FileEntry): string {
  if (e.kind !== "link") return kinds[e.kind] ?? kinds.other;
  return e.target_kind === "gone"
    ? kinds.gone
    : `Link to a ${(kinds[e.target_kind ?? "other"] ?? "").toLowerCase()}`;
}

/** Whether it opens as a folder. */
export const isFolder = (e: FileEntry): boolean =>
  e.kind === "folder" || (e.kind === "link" && e.target_kind === "folder");

/** Whether it has content that can be fetched. */
export const isFile = (e: FileEntry): boolean =>
  e.kind === "file" || (e.kind === "link" && e.target_kind === "file");

/** Permissions as ls has them, without the kind. */
export function modeWords(mode: number): string {
  const three = (bits: number, special: boolean, letter: string) => {
    const x = (bits & 1) === 1;
    const last = special ? (x ? letter : letter.toUpperCase()) : x ? "x" : "-";
    return `${bits & 4 ? "r" : "-"}${bits & 2 ? "w" : "-"}${last}`;
  };
  return (
    three((mode >> 6) & 7, (mode & 0o4000) !== 0, "s") +
    three((mode >> 3) & 7, (mode & 0o2000) !== 0, "s") +
    three(mode & 7, (mode & 0o1000) !== 0, "t")
  );
}

const places: Readonly<Record<string, string>> = {
  home: "Home",
  desktop: "Desktop",
  documents: "Documents",
  downloads: "Downloads",
  root: "Whole device",
};

/** What a place is called. */
export const placeWords = (kind: string, path: string): string => places[kind] ?? path;

/** Why a name cannot be one, or null. */
export function nameFault(name: string): string | null {
  if (name === "" || name === "." || name === "..") return "Type a name.";
  if (name.includes("/")) return "A name has no slash in it.";
  if (new TextEncoder().encode(name).length > 255) return "That name is too long.";
  return null;
}
