/**
 * The view of the remote screen: a video, the device's cursor over it, and the geometry between
 * them and the page. It reports every picture as it is shown.
 */
import type { Place } from "../session/frames.ts";
import type { Shown } from "../session/latency.ts";
import { Cursors } from "./cursor.ts";
import {
  cssPx,
  edgePan,
  type Framing,
  fromWire,
  type Layout,
  layOut,
  type Point,
  panBy,
  type ScreenPx,
  type Size,
  screenPx,
  toWire,
  wholePicture,
  zoomAt,
} from "./geometry.ts";

/** The elements of a view, made by whoever places it. */
export interface ScreenElements {
  /** The view; the picture is positioned inside it. */
  readonly view: HTMLElement;
  readonly video: HTMLVideoElement;
  /** Drawn with the device's cursor when the operator's own pointer does not show it. */
  readonly cursor: HTMLCanvasElement;
}

/** What a Screen tells. */
export interface ScreenOptions {
  /** A picture was put on the screen. */
  readonly shown: (s: Shown | null) => void;
  /** The framing changed, by the operator or by what fits. */
  readonly framed: (f: Framing, l: Layout) => void;
}

/** See the file's comment. */
export class Screen {
  readonly #el: ScreenElements;
  readonly #options: ScreenOptions;
  readonly #cursors = new Cursors();
  readonly #observer: ResizeObserver;
  #framing: Framing = wholePicture;
  #size: Size<ScreenPx> = { width: screenPx(0), height: screenPx(0) };
  #layout: Layout;
  #monitor = 0;
  #cursorAt: { monitor: number; x: number; y: number } | null = null;
  #own = false;
  #closed = false;
  #edge: Point<ReturnType<typeof cssPx>> | null = null;
  #edgeRunning = false;

  constructor(elements: ScreenElements, options: ScreenOptions) {
    this.#el = elements;
    this.#options = options;
    this.#layout = this.#layOut();
    this.#observer = new ResizeObserver(() => this.#place());
    this.#observer.observe(elements.view);
    elements.video.onresize = () => this.#place();
    elements.video.onloadedmetadata = () => this.#place();
    this.#watch();
  }

  /** Shows a stream. */
  set stream(s: MediaStream | null) {
    if (this.#el.video.srcObject === s) return;
    this.#el.video.srcObject = s;
    // Muted video may start by itself; where it may not, the next picture tries again.
    if (s !== null) this.#el.video.play().catch(() => undefined);
  }

  /** The monitor the picture shows; positions are within it. */
  set monitor(id: number) {
    if (id === this.#monitor) return;
    this.#monitor = id;
    this.#drawCursor();
  }

  /** Whether the operator's own pointer carries the device's cursor. */
  set ownPointer(own: boolean) {
    if (own === this.#own) return;
    this.#own = own;
    this.#dress();
  }

  get framing(): Framing {
    return this.#framing;
  }

  set framing(f: Framing) {
    this.#framing = f;
    this.#place();
  }

  get layout(): Layout {
    return this.#layout;
  }

  /** Zooms by a factor around a point of the view, and moves that point. */
  zoom(at: { x: number; y: number }, factor: number, by: { x: number; y: number } = { x: 0, y: 0 }): void {
    const view = this.#view();
    const ratio = devicePixelRatio;
    const zoomed = zoomAt(view, this.#picture(), this.#framing, ratio, point(at), factor);
    const layout = layOut(view, this.#picture(), zoomed, ratio);
    this.framing = panBy(layout, view, zoomed, point(by));
  }

  /** The place of the remote screen at a point of the page. */
  placeAt(clientX: number, clientY: number, clamp: boolean): Place | null {
    const box = this.#el.view.getBoundingClientRect();
    const p = point({ x: clientX - box.left, y: clientY - box.top });
    const at = toWire(this.#layout, this.#picture(), p, clamp);
    return at === null ? null : { monitor: this.#monitor, ...at };
  }

  /** The pointer is at a point of the page, or (null) elsewhere: near an edge a large picture moves. */
  hover(at: { readonly clientX: number; readonly clientY: number } | null): void {
    if (at === null || !this.#layout.overflows) {
      this.#edge = null;
      return;
    }
    const box = this.#el.view.getBoundingClientRect();
    this.#edge = point({ x: at.clientX - box.left, y: at.clientY - box.top });
    if (!this.#edgeRunning) this.#panAtEdge();
  }

  /** Takes a shape of the device's cursor. */
  addCursor(hash: bigint, s: Parameters<Cursors["add"]>[1]): void {
    this.#cursors.add(hash, s, () => this.#dress());
  }

  /** Takes which shape is in use. */
  selectCursor(hash: bigint, visible: boolean): void {
    this.#cursors.select(hash, visible);
    this.#dress();
  }

  /** Takes where the device's pointer is. */
  moveCursor(at: { monitor: number; x: number; y: number }): void {
    this.#cursorAt = at;
    this.#drawCursor();
  }

  /** The picture with the device's cursor, as it is on the device; null before the first. */
  async screenshot(): Promise<Blob | null> {
    const { video } = this.#el;
    if (video.videoWidth === 0) return null;
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    const g = canvas.getContext("2d");
    if (g === null) return null;
    g.drawImage(video, 0, 0);
    const shape = this.#cursors.shape;
    if (shape !== null && this.#cursorAt !== null && this.#cursorAt.monitor === this.#monitor) {
      const x = Math.round((this.#cursorAt.x * (canvas.width - 1)) / 65535);
      const y = Math.round((this.#cursorAt.y * (canvas.height - 1)) / 65535);
      g.drawImage(shape.image, x - shape.hotX, y - shape.hotY);
    }
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  /** Ends everything it began. */
  close(): void {
    this.#closed = true;
    this.#observer.disconnect();
    this.#el.video.onresize = null;
    this.#el.video.onloadedmetadata = null;
    this.#el.video.srcObject = null;
  }

  #view(): Size<ReturnType<typeof cssPx>> {
    return { width: cssPx(this.#el.view.clientWidth), height: cssPx(this.#el.view.clientHeight) };
  }

  /** The size of the picture; while a fresh stream has brought none, that of the last. */
  #picture(): Size<ScreenPx> {
    const { videoWidth, videoHeight } = this.#el.video;
    if (videoWidth > 0) this.#size = { width: screenPx(videoWidth), height: screenPx(videoHeight) };
    return this.#size;
  }

  #layOut(): Layout {
    return layOut(this.#view(), this.#picture(), this.#framing, devicePixelRatio);
  }

  #place(): void {
    const l = this.#layOut();
    this.#layout = l;
    const { style } = this.#el.video;
    style.width = `${l.width}px`;
    style.height = `${l.height}px`;
    style.transform = `translate(${l.left}px, ${l.top}px)`;
    // Pixel for pixel, or enlarged a lot, text is clearest unsmoothed.
    style.imageRendering =
      this.#framing.scaling === "actual" || l.scale * devicePixelRatio >= 3 ? "pixelated" : "auto";
    this.#dress();
    this.#options.framed(this.#framing, l);
  }

  #dress(): void {
    this.#el.view.style.cursor = this.#own ? this.#cursors.css(this.#layout.scale) : "default";
    this.#drawCursor();
  }

  #drawCursor(): void {
    const { cursor } = this.#el;
    const shape = this.#cursors.shape;
    const at = this.#cursorAt;
    const show =
      !this.#own && shape !== null && at !== null && at.monitor === this.#monitor && this.#layout.scale > 0;
    cursor.hidden = !show;
    if (!show) return;
    const scale = this.#layout.scale;
    if (cursor.width !== shape.width || cursor.height !== shape.height || cursor.dataset.url !== shape.url) {
      cursor.width = shape.width;
      cursor.height = shape.height;
      cursor.dataset.url = shape.url;
    }
    const g = cursor.getContext("2d");
    g?.clearRect(0, 0, cursor.width, cursor.height);
    if (shape.image.complete && shape.image.naturalWidth > 0) g?.drawImage(shape.image, 0, 0);
    const p = fromWire(this.#layout, this.#picture(), at);
    cursor.style.width = `${shape.width * scale}px`;
    cursor.style.height = `${shape.height * scale}px`;
    cursor.style.transform = `translate(${p.x - shape.hotX * scale}px, ${p.y - shape.hotY * scale}px)`;
  }

  #panAtEdge(): void {
    this.#edgeRunning = true;
    requestAnimationFrame(() => {
      this.#edgeRunning = false;
      if (this.#edge === null || this.#closed) return;
      const view = this.#view();
      const by = edgePan(view, this.#layout, this.#edge);
      if (by.x === 0 && by.y === 0) return;
      this.framing = panBy(this.#layout, view, this.#framing, by);
      this.#panAtEdge();
    });
  }

  /** Reports each picture as the compositor takes it. */
  #watch(): void {
    const { video } = this.#el;
    if (!("requestVideoFrameCallback" in video)) {
      // Without it there is only "some picture is there".
      (video as HTMLVideoElement).addEventListener("timeupdate", () => this.#options.shown(null));
      return;
    }
    const each = (_now: number, m: VideoFrameCallbackMetadata) => {
      if (this.#closed) return;
      this.#options.shown(
        m.rtpTimestamp === undefined
          ? null
          : {
              rtp: m.rtpTimestamp,
              receivedMs: m.receiveTime ?? null,
              decodeMs: m.processingDuration === undefined ? null : m.processingDuration * 1000,
              displayMs: m.expectedDisplayTime,
            },
      );
      video.requestVideoFrameCallback(each);
    };
    video.requestVideoFrameCallback(each);
  }
}

function point(p: { x: number; y: number }): Point<ReturnType<typeof cssPx>> {
  return { x: cssPx(p.x), y: cssPx(p.y) };
}
