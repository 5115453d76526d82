import type { Capability } from "../api/types.ts";

/** What each capability is called, and what it lets one do, in words for people. */
export const capabilityWords: Record<Capability, { name: string; means: string }> = {
  view: { name: "See the screen", means: "Always part of a session" },
  control: { name: "Pointer and keyboard", means: "Click and type on the device" },
  clipboard: { name: "Clipboard", means: "Copy text both ways" },
  files: { name: "Files", means: "Browse, copy and change files" },
  terminal: { name: "Terminal", means: "Run commands in a shell" },
  root: { name: "Administrator", means: "Terminal, files and processes as root" },
  diagnostics: { name: "Diagnostics", means: "See processes, services and logs" },
  power: { name: "Power", means: "Restart, lock or sign out" },
  record: { name: "Recording", means: "Keep a recording of the session" },
};

/** "See the screen, clipboard"; a capability from a newer version reads as it is spelled. */
export function capabilityList(cs: readonly string[]): string {
  if (cs.length === 0) return "Nothing";
  const names = cs.map((c) => capabilityWords[c as Capability]?.name ?? c);
  return names.map((n, i) => (i === 0 ? n : n.toLowerCase())).join(", ");
}
