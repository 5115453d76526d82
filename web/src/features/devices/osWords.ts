import type { Device } from "../../api/types.ts";

const families: Record<string, string> = { linux: "Linux", windows: "Windows", darwin: "macOS" };

/** "Debian GNU/Linux 12 (bookworm)"; before any inventory came, "Linux amd64". */
export function osWords(d: Pick<Device, "os" | "os_version" | "arch">): string {
  if (d.os_version) return d.os_version;
  return [families[d.os] ?? d.os, d.arch].filter(Boolean).join(" ");
}
