const words: Record<string, string> = {
  deb: "Debian package",
  rpm: "RPM package",
  apk: "Alpine package",
  pacman: "Pacman package",
  flatpak: "Flatpak",
  snap: "Snap",
  appimage: "AppImage",
  browser: "Browser extension",
  pip: "Python package",
  npm: "Node package",
  msi: "Windows installer",
  app: "macOS application",
};

/** Where software came from; a source from a newer version reads as it is spelled. */
export function sourceWords(source: string): string {
  return words[source] ?? source;
}

/** The sources to choose from. */
export const sources: readonly string[] = ["deb", "rpm", "flatpak", "snap", "browser"];
