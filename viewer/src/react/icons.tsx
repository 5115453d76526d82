/** The toolbar's drawings: 20 by 20, stroked in the text's colour. */
import type { ReactNode } from "react";

const paths = {
  fit: "M3 7V3h4M13 3h4v4M17 13v4h-4M7 17H3v-4M7 7h6v6H7z",
  keys: "M2.5 5.5h15v9h-15zM5.5 8.5h.01M8.5 8.5h.01M11.5 8.5h.01M14.5 8.5h.01M6.5 11.5h7",
  clipboard: "M7 4H5v13h10V4h-2M7 3h6v3H7zM8 10h4M8 13h4",
  quality: "M3 6h8M15 6h2M3 14h2M9 14h8M13 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  camera: "M3 6h3l1.5-2h5L14 6h3v10H3zM10 13.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6z",
  eye: "M2 10s3-5.5 8-5.5S18 10 18 10s-3 5.5-8 5.5S2 10 2 10zM10 12.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  hand: "M6 10V5.5a1.2 1.2 0 0 1 2.4 0V9V4a1.2 1.2 0 0 1 2.4 0v5V5a1.2 1.2 0 0 1 2.4 0v5M13.2 7.5a1.2 1.2 0 0 1 2.4 0V12c0 3-2 5-4.8 5-2.6 0-3.6-1-4.8-3l-2-3.2c-.6-1 .8-2 1.6-1.2L6 10.5",
  monitor: "M2.5 4h15v10h-15zM7 17h6M10 14v3",
  full: "M3 8V3h5M12 3h5v5M17 12v5h-5M8 17H3v-5",
  help: "M10 17.5a7.5 7.5 0 1 0 0-15 7.5 7.5 0 0 0 0 15zM7.8 8a2.2 2.2 0 1 1 3.3 1.9c-.8.5-1.1.9-1.1 1.8M10 14.2h.01",
  meter: "M3 15a7.5 7.5 0 1 1 14 0M10 12l3.5-4.5M10 13.2a1 1 0 1 0 0-2 1 1 0 0 0 0 2z",
  leave: "M12 3h5v14h-5M3 10h9M8.5 6.5L12 10l-3.5 3.5",
  end: "M4 4l12 12M16 4L4 16",
  tools:
    "M12.5 3.5a4 4 0 0 0-3.8 5.3L3 14.5 5.5 17l5.7-5.7a4 4 0 0 0 5.3-3.8c0-.6-.1-1.1-.3-1.6L13.6 8.500 11.5 6.400l2.600-2.600a4 4 0 0 0-1.600-.3z",
  below: "M3 3.500h14v13H3zM3 11h14",
  beside: "M3 3.500h14v13H3zM12 3.500v13",
  away: "M4 14.500h12",
  people:
    "M7.5 9.5a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM2 16.5c0-3 2.5-5 5.5-5s5.5 2 5.5 5M13 4a3 3 0 0 1 0 5.5M15 12c2 .7 3 2.5 3 4.5",
} as const;

/** The name of a drawing. */
export type IconName = keyof typeof paths;

/** Draws an icon. It is decoration: the button around it has the name. */
export function Icon({ name }: { readonly name: IconName }): ReactNode {
  return (
    <svg className="hv-icon" viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}
