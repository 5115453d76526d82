/**
 * Where the remote picture lies on the page, and which place of it a point of the page is. Pure
 * arithmetic. Two spaces that must not be mixed up are types of their own.
 */

/** A length in the page's CSS pixels; multiply by the device pixel ratio for pixels of the panel. */
export type CssPx = number & { readonly __unit: "css-px" };

/** A length in pixels of the remote screen. */
export type ScreenPx = number & { readonly __unit: "screen-px" };

/** Marks a number as CSS pixels. */
export function cssPx(n: number): CssPx {
  return n as CssPx;
}

/** Marks a number as pixels of the remote screen. */
export function screenPx(n: number): ScreenPx {
  return n as ScreenPx;
}

/** A size in one of the spaces. */
export interface Size<Unit extends number> {
  readonly width: Unit;
  readonly height: Unit;
}

/** A point in one of the spaces. */
export interface Point<Unit extends number> {
  readonly x: Unit;
  readonly y: Unit;
}

/** How the picture is scaled: whole in view, pixel for pixel, or by the operator's own factor. */
export type Scaling = "fit" | "actual" | "zoom";

/** What the operator chose to see. */
export interface Framing {
  readonly scaling: Scaling;
  /** For "zoom": multiple of the size at which the whole picture fits, 1 to `mostZoom`. */
  readonly zoom: number;
  /** The point of the picture in the middle of the view, each 0..1; counts where the picture is larger. */
  readonly center: { readonly x: number; readonly y: number };
}

/** The most the picture is enlarged over fitting. */
export const mostZoom = 8;

/** The framing to begin with. */
export const wholePicture: Framing = { scaling: "fit", zoom: 1, center: { x: 0.5, y: 0.5 } };

/** Where the picture lies: its upper left corner relative to the view's, and how large a remote pixel is. */
export interface Layout {
  readonly left: CssPx;
  readonly top: CssPx;
  readonly width: CssPx;
  readonly height: CssPx;
  /** CSS pixels per pixel of the remote screen. */
  readonly scale: number;
  /** Whether parts of the picture are out of view. */
  readonly overflows: boolean;
}

/** Lays the picture out in the view. An empty picture or view gives an empty layout. */
export function layOut(view: Size<CssPx>, picture: Size<ScreenPx>, f: Framing, pixelRatio: number): Layout {
  const empty = picture.width <= 0 || picture.height <= 0 || view.width <= 0 || view.height <= 0;
  if (empty)
    return { left: cssPx(0), top: cssPx(0), width: cssPx(0), height: cssPx(0), scale: 0, overflows: false };
  const scale = scaleOf(view, picture, f, pixelRatio);
  const width = picture.width * scale;
  const height = picture.height * scale;
  return {
    left: cssPx(place(view.width, width, f.center.x)),
    top: cssPx(place(view.height, height, f.center.y)),
    width: cssPx(width),
    height: cssPx(height),
    scale,
    // Half a pixel of rounding is not worth scrolling for.
    overflows: width > view.width + 0.5 || height > view.height + 0.5,
  };
}

/** CSS pixels per remote pixel under a framing. */
function scaleOf(view: Size<CssPx>, picture: Size<ScreenPx>, f: Framing, pixelRatio: number): number {
  const fit = Math.min(view.width / picture.width, view.height / picture.height);
  switch (f.scaling) {
    case "fit":
      return fit;
    case "actual":
      return 1 / pixelRatio;
    case "zoom":
      return fit * Math.min(mostZoom, Math.max(1, f.zoom));
  }
}

/** Centers what is smaller than the view; shows the wanted middle of what is larger, without gaps. */
function place(view: number, content: number, center: number): number {
  if (content <= view) return (view - content) / 2;
  return Math.min(0, Math.max(view - content, view / 2 - content * center));
}

/** The largest coordinate on the wire: the last pixel of a monitor. */
const lastUnit = 65535;

/**
 * Returns the wire's coordinates of a point of the view, or null when it lies on the letterbox.
 * With `clamp` such a point counts as the nearest one of the picture: a drag may leave it.
 */
export function toWire(
  l: Layout,
  picture: Size<ScreenPx>,
  p: Point<CssPx>,
  clamp: boolean,
): { readonly x: number; readonly y: number } | null {
  if (l.scale === 0) return null;
  const x = (p.x - l.left) / l.scale;
  const y = (p.y - l.top) / l.scale;
  if (!clamp && (x < 0 || y < 0 || x >= picture.width || y >= picture.height)) return null;
  return { x: unit(x, picture.width), y: unit(y, picture.height) };
}

/** The pixel under a position, in 65535ths of the way from the first to the last pixel. */
function unit(at: number, size: number): number {
  if (size <= 1) return 0;
  const pixel = Math.min(size - 1, Math.max(0, Math.floor(at)));
  return Math.round((pixel * lastUnit) / (size - 1));
}

/** Returns where in the view the wire's coordinates are: the upper left corner of their pixel. */
export function fromWire(l: Layout, picture: Size<ScreenPx>, at: { x: number; y: number }): Point<CssPx> {
  const x = Math.round((at.x * (picture.width - 1)) / lastUnit);
  const y = Math.round((at.y * (picture.height - 1)) / lastUnit);
  return { x: cssPx(l.left + x * l.scale), y: cssPx(l.top + y * l.scale) };
}

/** Zooms by a factor around a point of the view, so that what is under it stays under it. */
export function zoomAt(
  view: Size<CssPx>,
  picture: Size<ScreenPx>,
  f: Framing,
  pixelRatio: number,
  at: Point<CssPx>,
  factor: number,
): Framing {
  const before = layOut(view, picture, f, pixelRatio);
  if (before.scale === 0) return f;
  const fit = Math.min(view.width / picture.width, view.height / picture.height);
  const zoom = Math.min(mostZoom, Math.max(1, (before.scale / fit) * factor));
  if (zoom === 1) return wholePicture;
  const scale = fit * zoom;
  const under = { x: (at.x - before.left) / before.scale, y: (at.y - before.top) / before.scale };
  return {
    scaling: "zoom",
    zoom,
    center: {
      x: part(under.x * scale - at.x + view.width / 2, picture.width * scale),
      y: part(under.y * scale - at.y + view.height / 2, picture.height * scale),
    },
  };
}

/** Moves the picture under the view by a distance of the page. */
export function panBy(l: Layout, view: Size<CssPx>, f: Framing, by: Point<CssPx>): Framing {
  if (!l.overflows) return f;
  return {
    ...f,
    center: {
      x: l.width > view.width ? part(view.width / 2 - (l.left + by.x), l.width) : f.center.x,
      y: l.height > view.height ? part(view.height / 2 - (l.top + by.y), l.height) : f.center.y,
    },
  };
}

function part(of: number, whole: number): number {
  return whole === 0 ? 0.5 : Math.min(1, Math.max(0, of / whole));
}

/** How near to the view's edge the pointer moves a picture that overflows. */
const edgePx = 40;

/** Returns how far to pan this frame because the pointer is near an edge; zero in the middle. */
export function edgePan(view: Size<CssPx>, l: Layout, at: Point<CssPx>): Point<CssPx> {
  return {
    x: cssPx(l.width > view.width ? push(at.x, view.width) : 0),
    y: cssPx(l.height > view.height ? push(at.y, view.height) : 0),
  };
}

function push(at: number, size: number): number {
  if (at < edgePx) return ((edgePx - at) / edgePx) * 16;
  if (at > size - edgePx) return (-(at - (size - edgePx)) / edgePx) * 16;
  return 0;
}
