import { describe, expect, test } from "vitest";
import { Emitter } from "../../session/emitter.ts";
import { decodeTerminalFrame } from "../../session/terminal.ts";
import type { ToolChannel, ToolEvents } from "../../session/toolchannel.ts";
import { Feed, type Shown } from "./feed.ts";

/** A channel whose buffer can be full. */
class Pipe extends Emitter<ToolEvents> implements ToolChannel {
  readonly name = "terminal";
  readonly buffered = 0;
  readonly isOpen = true;
  readonly sent: (string | ArrayBuffer)[] = [];
  full = false;
  send(m: string | Uint8Array<ArrayBuffer>): boolean {
    if (this.full) return false;
    this.sent.push(typeof m === "string" ? m : m.slice().buffer);
    return true;
  }
  close(): void {}
  drain(): void {
    this.full = false;
    this.emit("low", undefined);
  }
  get shown(): number[] {
    return this.sent.flatMap((m) => {
      if (typeof m === "string") return [];
      const f = decodeTerminalFrame(m);
      return f.kind === "shown" ? [f.shown] : [];
    });
  }
  get typed(): string {
    return this.sent
      .map((m) => {
        if (typeof m === "string") return "";
        const f = decodeTerminalFrame(m);
        return f.kind === "input" ? new TextDecoder().decode(f.bytes) : "";
      })
      .join("");
  }
}

/** A terminal that draws when it is told to. */
class Screen implements Shown {
  cols = 80;
  rows = 24;
  did: string[] = [];
  readonly waiting: { data: Uint8Array | string; done: (() => void) | undefined }[] = [];
  write(data: Uint8Array | string, done?: () => void): void {
    this.waiting.push({ data, done });
  }
  resize(cols: number, rows: number): void {
    this.cols = cols;
    this.rows = rows;
    this.did.push(`${cols}x${rows}`);
  }
  reset(): void {
    this.did.push("reset");
  }
  draw(n = Number.POSITIVE_INFINITY): void {
    for (; n > 0 && this.waiting.length > 0; n--) {
      const w = this.waiting.shift();
      if (w === undefined) return;
      if (typeof w.data !== "string") this.did.push(new TextDecoder().decode(w.data).slice(0, 8));
      w.done?.();
    }
  }
}

const output = (text: string) => new TextEncoder().encode(`\u0003${text}`).buffer;
const say = (type: string, body: object = {}) => JSON.stringify({ v: 1, type, body });

function start(hidden = false) {
  const pipe = new Pipe();
  const screen = new Screen();
  const told: string[] = [];
  const feed = new Feed(
    pipe,
    screen,
    {
      opened: (t) => told.push(`opened ${t.id}`),
      live: (cut) => told.push(`live ${cut}`),
      exited: (code, message) => told.push(`exited ${code} ${message}`),
    },
    () => hidden,
  );
  return { pipe, screen, told, feed };
}

describe("a terminal's feed", () => {
  test("shows a replay in its sizes, in order, and types only once it is live", () => {
    const { pipe, screen, told, feed } = start();
    feed.take(say("terminal.replay", { cut: true }));
    feed.take(say("terminal.size", { cols: 100, rows: 30 }));
    feed.take(output("old"));
    feed.take(say("terminal.size", { cols: 90, rows: 20 }));
    feed.take(output("new"));
    feed.take(say("terminal.ready"));
    expect(screen.did).toEqual([]);
    expect(feed.type(new TextEncoder().encode("lost"))).toBe(false);
    screen.draw();
    expect(screen.did).toEqual(["reset", "100x30", "old", "90x20", "new"]);
    expect(told).toEqual(["live true"]);
    expect(feed.type(new TextEncoder().encode("ls\r"))).toBe(true);
    expect(pipe.typed).toBe("ls\r");
    feed.take(say("terminal.exited", { code: 3, message: "over" }));
    screen.draw();
    expect(told.at(-1)).toBe("exited 3 over");
  });

  test("says what is shown when it is shown, in steps", () => {
    const { pipe, screen, feed } = start();
    for (let n = 0; n < 8; n++) feed.take(output("x".repeat(8 << 10)));
    expect(pipe.shown).toEqual([]);
    screen.draw(1);
    expect(pipe.shown).toEqual([]);
    screen.draw(1);
    expect(pipe.shown).toEqual([16 << 10]);
    screen.draw();
    expect(pipe.shown.at(-1)).toBe(64 << 10);
    feed.take(output("$"));
    screen.draw();
    expect(pipe.shown.at(-1)).toBe((64 << 10) + 1);
  });

  test("a page nobody looks at takes more than it draws, up to a limit", () => {
    const { pipe, feed } = start(true);
    for (let n = 0; n < 1024; n++) feed.take(output("x".repeat(8 << 10)));
    expect(pipe.shown.at(-1)).toBeGreaterThan(3 << 20);
    expect(pipe.shown.at(-1)).toBeLessThanOrEqual(4 << 20);
  });

  test("a long text waits for the channel and loses nothing", () => {
    const { pipe, screen, feed } = start();
    feed.take(say("terminal.ready"));
    screen.draw();
    pipe.full = true;
    const text = "0123456789".repeat(3000);
    feed.type(new TextEncoder().encode(text));
    expect(pipe.typed).toBe("");
    pipe.drain();
    expect(pipe.typed).toBe(text);
  });

  test("garbage is dropped; a stopped feed is silent", () => {
    const { pipe, screen, told, feed } = start();
    feed.take("{");
    feed.take(new ArrayBuffer(0));
    feed.take(say("terminal.size", { cols: 1e9, rows: 5 }));
    feed.take(output("a"));
    feed.stop();
    screen.draw();
    feed.take(say("terminal.ready"));
    expect(screen.did).toEqual(["a"]);
    expect(told).toEqual([]);
    expect(pipe.sent).toEqual([]);
  });
});
