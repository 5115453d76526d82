import type { Capability } from "../api/types.ts";

/** What each capability is called, and what it lets one do, in words for people. */
export const capabilityWords: Record<Capability, { name: string; means: string }> = {
  view: { name: "See the screen", means: "Always part of a session" },
  control: { name: "Pointer and keyboard", means: "Click and type on the device" },
  clipboard: { name: "Clipboard", means: "Copy text both ways" },
  files: { name: "Files", means: "Browse, copy and change files" },
  terminal: { name: "Terminal", means: "Run commands in a shell" },
  diagnostics: { name: "Diagnostics", means: "See processes, services and logs" },
  power: { name: "Power", means: "Restart, lock or sign out" },
  record: { name: "Recording", means: "Keep a recording of the session" },
};

/** "see the screen, clipboard". */
export function capabilityList(cs: readonly Capability[]): string {
  if (cs.length === 0) return "nothing";
  return cs
    .map((c, i) => (i === 0 ? capabilityWords[c].name : capabilityWords[c].name.toLowerCase()))
    .join(", ");
}
