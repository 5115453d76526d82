/**
 * Turns key events into frames: physical code for shortcuts, text for typing. It knows the ways
 * browsers and systems differ: AltGr on Windows, Command and Option on a Mac, dead keys, IMEs, locks.
 */
import { lock, mod } from "../session/frames.ts";
import { keyCodes } from "../session/keys.gen.ts";
import type { Sender } from "./sender.ts";

/** The operator's system, as far as its keyboard is peculiar. */
export type Platform = "mac" | "windows" | "other";

/** The part of a KeyboardEvent that counts; a test makes its own. */
export interface KeyLike {
  readonly code: string;
  readonly key: string;
  readonly keyCode: number;
  readonly repeat: boolean;
  readonly isComposing: boolean;
  readonly timeStamp: number;
  getModifierState(name: string): boolean;
}

/** What a Keyboard needs. */
export interface KeyboardOptions {
  readonly sender: Sender;
  readonly platform: Platform;
  /** Called for a key that pastes; returns true when a clipboard text may follow before it. */
  readonly beforePaste?: () => boolean;
  /** Called with the physical key of Ctrl+Alt+Shift+key, the viewer's own shortcuts; true takes it. */
  readonly ownShortcut?: (code: string) => boolean;
}

const locksByCode: Readonly<Record<string, number>> = {
  CapsLock: lock.caps,
  NumLock: lock.num,
  ScrollLock: lock.scroll,
};

const modifierBits: Readonly<Record<string, number>> = {
  ShiftLeft: mod.shift,
  ShiftRight: mod.shift,
  ControlLeft: mod.ctrl,
  ControlRight: mod.ctrl,
  AltLeft: mod.alt,
  AltRight: mod.alt,
  MetaLeft: mod.meta,
  MetaRight: mod.meta,
};

/** Windows sends a Ctrl before AltGr; the two are this close. */
const altGrMs = 50;

const control = keyCodes.ControlLeft ?? 0;
const altRight = keyCodes.AltRight ?? 0;

/** See the file's comment. Feed it every keydown and keyup of the field that has the focus. */
export class Keyboard {
  /** On a Mac: Command acts as Ctrl, as the rest of the world's shortcuts want it. */
  commandAsControl: boolean;
  readonly #o: KeyboardOptions;
  /** Keys that are down here, and the code that stands for each at the agent (0: none does). */
  readonly #down = new Map<string, number>();
  #locks: number | null = null;
  /** A Ctrl of Windows that may turn out to be the first half of AltGr. */
  #doubtful: { at: number; mods: number; timer: ReturnType<typeof setTimeout> } | null = null;
  /** A Mac's Option that has been pressed and has not been part of a character yet. */
  #option: { code: number; mods: number } | null = null;

  constructor(options: KeyboardOptions) {
    this.#o = options;
    this.commandAsControl = options.platform === "mac";
  }

  /** Takes a keydown; returns whether its default must be prevented. */
  keyDown(e: KeyLike): boolean {
    if (e.isComposing || e.keyCode === 229 || e.key === "Process") return false; // the IME's
    if (this.#o.ownShortcut !== undefined && isOwn(e) && this.#o.ownShortcut(e.code)) {
      this.releaseAll();
      return true;
    }
    if (e.code in locksByCode) {
      this.#syncLocks(e);
      return true;
    }
    if (this.#windowsAltGr(e)) return true;
    this.#settleDoubt(true);
    // The character that a dead key becomes part of comes with the next key, or as a composition.
    if (e.key === "Dead") return false;
    // A held key repeats by the device's own setting.
    if (e.repeat && this.#down.has(e.code)) return true;
    this.#syncLocks(e);
    return this.#press(e);
  }

  /** Takes a keyup; returns whether its default must be prevented. */
  keyUp(e: KeyLike): boolean {
    if (e.code in locksByCode) {
      this.#syncLocks(e);
      return true;
    }
    if (e.code === "ControlLeft") this.#settleDoubt(true);
    if (this.#option !== null && isOption(e.code)) {
      this.#sendOption(); // pressed alone: opens a menu on many devices
    }
    const code = this.#down.get(e.code);
    if (code === undefined) return false;
    this.#down.delete(e.code);
    const mods = this.#mods(e) & ~(this.#modifierBit(e) & ~this.#othersOf(e.code));
    if (code !== 0) this.#o.sender.keyUp(code, mods);
    // A Mac says nothing of keys let go while Command is held.
    if (this.#o.platform === "mac" && e.code.startsWith("Meta")) this.releaseAll();
    return true;
  }

  /** Presses and releases keys in a row, as a toolbar button does: the last with all before it held. */
  chord(codes: readonly string[]): void {
    let mods = 0;
    const pressed: number[] = [];
    for (const name of codes) {
      const code = keyCodes[name];
      if (code === undefined) continue;
      mods |= modifierBits[name] ?? 0;
      this.#o.sender.keyDown(code, mods, "");
      pressed.push(code);
    }
    for (const [i, code] of pressed.reverse().entries()) {
      mods &= ~(modifierBits[codes[codes.length - 1 - i] ?? ""] ?? 0);
      this.#o.sender.keyUp(code, mods);
    }
  }

  /** Lets go of everything: the field has lost the focus, or control has. */
  releaseAll(): void {
    if (this.#doubtful !== null) clearTimeout(this.#doubtful.timer);
    this.#doubtful = null;
    this.#option = null;
    this.#down.clear();
    this.#locks = null; // whatever changes elsewhere is stated with the next key
    this.#o.sender.releaseAll();
  }

  #press(e: KeyLike): boolean {
    const code = this.#codeOf(e);
    const mods = this.#mods(e) | this.#modifierBit(e);
    const text = textOf(e);
    const shortcut = (mods & (mod.ctrl | mod.alt | mod.meta)) !== 0;
    if (this.#o.platform === "mac" && isOption(e.code)) {
      this.#option = { code, mods };
      this.#down.set(e.code, 0);
      return true;
    }
    if (this.#o.platform === "mac" && e.getModifierState("Alt") && this.#optionCharacter(e, text))
      return true;
    this.#sendOption();
    const pastes = isPaste(e, mods) && this.#o.beforePaste?.() === true;
    this.#down.set(e.code, code);
    this.#o.sender.keyDown(code, mods, shortcut ? "" : text);
    if (this.#o.platform === "mac" && e.getModifierState("Meta") && !(e.code in modifierBits)) {
      this.#down.delete(e.code);
      this.#o.sender.keyUp(code, mods);
    }
    return !pastes; // the paste event that follows brings the text
  }

  /** Option and a key that together make a character: that character is meant, not Alt. */
  #optionCharacter(e: KeyLike, text: string): boolean {
    if (text === "" || e.getModifierState("Meta") || e.getModifierState("Control")) return false;
    if (this.#option === null && this.#altHeld()) return false; // Alt is already down for a shortcut
    const code = this.#codeOf(e);
    this.#down.set(e.code, code);
    this.#o.sender.keyDown(code, (this.#mods(e) & ~mod.alt) | mod.altGr, text);
    return true;
  }

  #altHeld(): boolean {
    return this.#o.sender.holds(keyCodes.AltLeft ?? 0) || this.#o.sender.holds(altRight);
  }

  #sendOption(): void {
    const option = this.#option;
    if (option === null) return;
    this.#option = null;
    for (const name of ["AltLeft", "AltRight"]) {
      if (this.#down.get(name) === 0 && keyCodes[name] === option.code) this.#down.set(name, option.code);
    }
    this.#o.sender.keyDown(option.code, option.mods, "");
  }

  /** Returns true when the event is a Ctrl to be kept back, or the AltGr that unmasks it. */
  #windowsAltGr(e: KeyLike): boolean {
    if (this.#o.platform !== "windows") return false;
    if (e.code === "ControlLeft" && !this.#down.has(e.code)) {
      this.#settleDoubt(true);
      const timer = setTimeout(() => this.#settleDoubt(true), altGrMs * 2);
      this.#doubtful = { at: e.timeStamp, mods: this.#mods(e) | mod.ctrl, timer };
      this.#down.set(e.code, 0);
      return true;
    }
    if (e.code === "ControlLeft" && this.#doubtful !== null) return true; // its repeat
    if (e.code === "AltRight" && this.#doubtful !== null && e.timeStamp - this.#doubtful.at <= altGrMs) {
      this.#settleDoubt(false);
    }
    return false;
  }

  /** Decides about a Ctrl that was kept back: it was one, or only AltGr's shadow. */
  #settleDoubt(real: boolean): void {
    const d = this.#doubtful;
    if (d === null) return;
    clearTimeout(d.timer);
    this.#doubtful = null;
    if (!real) return;
    this.#down.set("ControlLeft", control);
    this.#o.sender.keyDown(control, d.mods, "");
  }

  #codeOf(e: KeyLike): number {
    if (this.commandAsControl && e.code === "MetaLeft") return control;
    if (this.commandAsControl && e.code === "MetaRight") return keyCodes.ControlRight ?? 0;
    return keyCodes[e.code] ?? 0;
  }

  /** The modifiers of an event as the device should see them. */
  #mods(e: KeyLike): number {
    let m = 0;
    if (e.getModifierState("Shift")) m |= mod.shift;
    if (e.getModifierState("Control")) m |= mod.ctrl;
    if (e.getModifierState("Alt")) m |= mod.alt;
    if (e.getModifierState("Meta")) m |= this.commandAsControl ? mod.ctrl : mod.meta;
    if (e.getModifierState("AltGraph")) m = (m & ~(mod.ctrl | mod.alt)) | mod.altGr;
    if (e.getModifierState("CapsLock")) m |= mod.capsLock;
    if (e.getModifierState("NumLock")) m |= mod.numLock;
    return m;
  }

  /** The bit of a key that is itself a modifier: browsers differ in whether its own event counts it. */
  #modifierBit(e: KeyLike): number {
    if (e.code === "AltRight" && e.key === "AltGraph") return mod.altGr;
    if (this.commandAsControl && e.code.startsWith("Meta")) return mod.ctrl;
    return modifierBits[e.code] ?? 0;
  }

  /** The bits that stay on because the other key of the same modifier is held. */
  #othersOf(code: string): number {
    let m = 0;
    for (const [held, sent] of this.#down) {
      if (held !== code && sent !== 0) m |= modifierBits[held] ?? 0;
    }
    return m;
  }

  /** States the lock lights when they are not what was stated last. */
  #syncLocks(e: KeyLike): void {
    let now = 0;
    if (e.getModifierState("CapsLock")) now |= lock.caps;
    if (e.getModifierState("NumLock")) now |= lock.num;
    if (e.getModifierState("ScrollLock")) now |= lock.scroll;
    // A Mac has no Num Lock, and "off" would turn the device's number pad into arrows.
    if (this.#o.platform === "mac") now |= lock.num;
    if (now === this.#locks) return;
    this.#locks = now;
    this.#o.sender.locks(now);
  }
}

/** The text a key produced: one character, or none for keys that only have a name. */
function textOf(e: KeyLike): string {
  return [...e.key].length === 1 ? e.key : "";
}

function isOption(code: string): boolean {
  return code === "AltLeft" || code === "AltRight";
}

function isOwn(e: KeyLike): boolean {
  return e.getModifierState("Control") && e.getModifierState("Alt") && e.getModifierState("Shift");
}

/** Whether a key pastes on most devices: Ctrl+V, or Shift+Insert. */
function isPaste(e: KeyLike, mods: number): boolean {
  if (e.repeat) return false;
  if (e.code === "Insert") return (mods & mod.shift) !== 0;
  return e.code === "KeyV" && (mods & (mod.ctrl | mod.meta)) !== 0 && (mods & mod.alt) === 0;
}

/** Returns the platform a browser says it runs on. */
export function platformOf(nav: { readonly platform: string; readonly maxTouchPoints: number }): Platform {
  if (/^(Mac|iPhone|iPad)/i.test(nav.platform)) return "mac";
  return /^Win/i.test(nav.platform) ? "windows" : "other";
}
