/** The windows the person at the demo device sees, and the hand that clicks in them. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { onScreen } from "./desktop.ts";
import { eventually, run } from "./program.ts";
import type { Demo } from "./stack.ts";

/** A window on the demo's screen: its X id and its size in pixels. */
export interface Box {
  readonly id: string;
  readonly width: number;
  readonly height: number;
}

/** The window that asks for consent. */
export const asking = "Handrail: request for help";
/** The banner that stays while there is a session. */
export const banner = "Handrail: session";
/** Of the banner: it has the row of one session, and the lines of those that ended seconds ago have gone from it. */
export const oneRow = (b: Box): boolean => b.height > 20 && b.height < 60;

/** The mouse and keyboard of the person at the device. */
export class Person {
  private readonly env: Record<string, string>;

  private constructor(env: Record<string, string>) {
    this.env = env;
  }

  static async at(demo: Demo): Promise<Person> {
    return new Person(await onScreen(demo));
  }

  /** The visible window of that name, if there is one. */
  async look(name: string): Promise<Box | undefined> {
    const found = await run(["xdotool", "search", "--onlyvisible", "--name", name], this.env).catch(() => "");
    const id = found.trim().split("\n")[0];
    if (!id) return undefined;
    const shape = await run(["xdotool", "getwindowgeometry", "--shell", id], this.env).catch(() => "");
    const of = (key: string) => Number(new RegExp(`^${key}=(\\d+)$`, "m").exec(shape)?.[1] ?? 0);
    return { id, width: of("WIDTH"), height: of("HEIGHT") };
  }

  /** Waits for a window whose size has come to rest. */
  async sees(name: string, fits: (b: Box) => boolean = (b) => b.height > 20): Promise<Box> {
    let last: Box | undefined;
    return eventually(`window "${name}"`, async () => {
      const now = await this.look(name);
      const rests =
        now && last && now.id === last.id && now.width === last.width && now.height === last.height;
      last = now;
      return rests && fits(now) && now;
    });
  }

  /** Waits until no window of that name is visible. */
  async seesNo(name: string): Promise<void> {
    await eventually(`end of window "${name}"`, async () => (await this.look(name)) === undefined);
  }

  /** Clicks a point of a window, given from its right and lower edges. */
  async clicks(b: Box, fromRight: number, fromBottom: number): Promise<void> {
    const at = [b.width - fromRight, b.height - fromBottom].map((n) => String(Math.round(n)));
    const press = ["sleep", "0.2", "mousedown", "1", "sleep", "0.1", "mouseup", "1"];
    await run(["xdotool", "mousemove", "--window", b.id, ...at, ...press], this.env);
  }

  /** Clicks a point of the screen. */
  async clicksAt(x: number, y: number): Promise<void> {
    await run(["xdotool", "mousemove", String(x), String(y), "sleep", "0.2", "click", "1"], this.env);
  }

  /** Presses keys, wherever the focus is. */
  async presses(...keys: string[]): Promise<void> {
    await run(["xdotool", "key", ...keys], this.env);
  }

  /** The colour of one pixel of a window, as #rrggbb. */
  async colour(b: Box, fromRight: number, fromBottom: number): Promise<string> {
    const at = `1x1+${Math.round(b.width - fromRight)}+${Math.round(b.height - fromBottom)}`;
    const said = await run(["import", "-window", b.id, "-crop", at, "-depth", "8", "txt:-"], this.env);
    return /#[0-9A-F]{6}/.exec(said)?.[0].toLowerCase() ?? "";
  }

  /** Keeps a picture of the whole screen where HANDRAIL_SHOTS names a directory. */
  async shot(name: string): Promise<void> {
    const dir = process.env.HANDRAIL_SHOTS;
    if (dir === undefined) return;
    await mkdir(dir, { recursive: true });
    await run(["import", "-window", "root", join(dir, `${name}.png`)], this.env);
  }
}
