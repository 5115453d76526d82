/** The device's cursor: shapes by their hash, and which one is in use. */

/** One shape. Sizes are pixels of the device. */
export interface Shape {
  readonly hotX: number;
  readonly hotY: number;
  readonly width: number;
  readonly height: number;
  readonly image: HTMLImageElement;
  /** The PNG as a data URL, for the CSS property. */
  readonly url: string;
}

/** Shapes kept; a desktop has a few dozen. */
const mostShapes = 64;
/** Browsers ignore cursors that are larger. */
const mostCursorPx = 128;

/** Keeps shapes and makes CSS cursors of them. */
export class Cursors {
  readonly #shapes = new Map<bigint, Shape>();
  readonly #scaled = new Map<string, string>();
  #used: bigint | null = null;
  #visible = true;

  /** Takes a shape. The image decodes meanwhile; `ready` is called when it can be drawn. */
  add(
    hash: bigint,
    s: { hotX: number; hotY: number; width: number; height: number; png: Uint8Array },
    ready: () => void,
  ): void {
    if (s.width === 0 || s.height === 0 || s.width > 1024 || s.height > 1024) return;
    const url = `data:image/png;base64,${base64(s.png)}`;
    const image = new Image();
    image.onload = ready;
    image.src = url;
    this.#shapes.set(hash, { hotX: s.hotX, hotY: s.hotY, width: s.width, height: s.height, image, url });
    for (const old of this.#shapes.keys()) {
      if (this.#shapes.size <= mostShapes) break;
      if (old !== this.#used) this.#shapes.delete(old);
    }
  }

  /** Takes which shape is in use, or that none is. */
  select(hash: bigint, visible: boolean): void {
    this.#used = hash;
    this.#visible = visible;
  }

  /** The shape to draw; null when it is hidden or not known. */
  get shape(): Shape | null {
    if (!this.#visible || this.#used === null) return null;
    return this.#shapes.get(this.#used) ?? null;
  }

  /** The value of the CSS property `cursor` that shows the shape at a scale of the picture. */
  css(scale: number): string {
    if (!this.#visible) return "none";
    const s = this.shape;
    if (s === null || !s.image.complete || s.image.naturalWidth === 0) return "default";
    // A pointer much smaller than the operator's own is hard to find, a huge one hides its target.
    let factor = Math.min(2, Math.max(0.6, scale));
    if (Math.abs(factor - 1) < 0.2) factor = 1;
    factor = Math.min(factor, mostCursorPx / s.width, mostCursorPx / s.height);
    const at = (hot: number, size: number) => Math.round(Math.min(size - 1, Math.max(0, hot)) * factor);
    const spot = `${at(s.hotX, s.width)} ${at(s.hotY, s.height)}`;
    return `url("${factor === 1 ? s.url : this.#resized(s, factor)}") ${spot}, default`;
  }

  #resized(s: Shape, factor: number): string {
    const key = `${this.#used}@${factor.toFixed(2)}`;
    const known = this.#scaled.get(key);
    if (known !== undefined) return known;
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(s.width * factor));
    canvas.height = Math.max(1, Math.round(s.height * factor));
    canvas.getContext("2d")?.drawImage(s.image, 0, 0, canvas.width, canvas.height);
    const url = canvas.toDataURL("image/png");
    if (this.#scaled.size > mostShapes) this.#scaled.clear();
    this.#scaled.set(key, url);
    return url;
  }
}

function base64(bytes: Uint8Array): string {
  let text = "";
  // An argument list has its limits; a cursor may be 56 KiB.
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
}
