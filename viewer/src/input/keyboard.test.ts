import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { InputFrame } from "../session/frames.ts";
import { keyCodes } from "../session/keys.gen.ts";
import { Keyboard, type KeyLike, type Platform, platformOf } from "./keyboard.ts";
import { Sender } from "./sender.ts";

let sent: InputFrame[];
let sender: Sender;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  sender = new Sender({ send: (f) => sent.push(f), nextFrame: () => undefined });
  sender.enabled = true;
});
afterEach(() => vi.useRealTimers());

function keyboard(platform: Platform = "other"): Keyboard {
  return new Keyboard({ sender, platform });
}

/** A key event: code, key, modifiers as getModifierState names them. */
function key(code: string, name: string, mods = "", more: Partial<KeyLike> = {}): KeyLike {
  return {
    code,
    key: name,
    keyCode: 0,
    repeat: false,
    isComposing: false,
    timeStamp: 0,
    getModifierState: (m) => mods.split(" ").includes(m),
    ...more,
  };
}

/** Frames but for heartbeats and lock lights, in short. */
function short(): string[] {
  const names = new Map(Object.entries(keyCodes).map(([name, code]) => [code, name]));
  return sent.flatMap((f) => {
    if (f.type === "key_down")
      return [`+${names.get(f.code) ?? f.code}/${f.mods}${f.text === "" ? "" : ` ${f.text}`}`];
    if (f.type === "key_up") return [`-${names.get(f.code) ?? f.code}/${f.mods}`];
    if (f.type === "text") return [`"${f.text}"`];
    return f.type === "release_all" ? ["release"] : [];
  });
}

test("typing carries the text, shortcuts only the physical key", () => {
  const k = keyboard();
  expect(k.keyDown(key("KeyQ", "a"))).toBe(true); // a French layout
  k.keyUp(key("KeyQ", "a"));
  k.keyDown(key("ControlLeft", "Control", "Control"));
  k.keyDown(key("KeyQ", "a", "Control"));
  k.keyUp(key("KeyQ", "a", "Control"));
  k.keyUp(key("ControlLeft", "Control"));
  expect(short()).toEqual(["+KeyQ/0 a", "-KeyQ/0", "+ControlLeft/2", "+KeyQ/2", "-KeyQ/2", "-ControlLeft/0"]);
});

test("a modifier's own press counts it even where the browser does not", () => {
  const k = keyboard();
  k.keyDown(key("ShiftLeft", "Shift"));
  k.keyDown(key("ShiftRight", "Shift", "Shift"));
  k.keyUp(key("ShiftLeft", "Shift", "Shift"));
  k.keyUp(key("ShiftRight", "Shift", "Shift")); // some browsers still count it here
  expect(short()).toEqual(["+ShiftLeft/1", "+ShiftRight/1", "-ShiftLeft/1", "-ShiftRight/0"]);
});

test("named keys have no text, and repeats stay here", () => {
  const k = keyboard();
  k.keyDown(key("Enter", "Enter"));
  k.keyDown(key("Enter", "Enter", "", { repeat: true }));
  k.keyDown(key("ArrowLeft", "ArrowLeft"));
  expect(short()).toEqual(["+Enter/0", "+ArrowLeft/0"]);
});

test("an IME's keys and dead keys are not sent", () => {
  const k = keyboard();
  expect(k.keyDown(key("KeyA", "Process", "", { keyCode: 229 }))).toBe(false);
  expect(k.keyDown(key("KeyA", "a", "", { isComposing: true }))).toBe(false);
  expect(k.keyDown(key("BracketLeft", "Dead"))).toBe(false);
  k.keyUp(key("KeyA", "a"));
  k.keyUp(key("BracketLeft", "Dead"));
  expect(short()).toEqual([]);
  k.keyDown(key("KeyE", "ê"));
  expect(short()).toEqual(["+KeyE/0 ê"]);
});

describe("Windows", () => {
  test("AltGr is not Ctrl and Alt", () => {
    const k = keyboard("windows");
    k.keyDown(key("ControlLeft", "Control", "Control", { timeStamp: 100 }));
    k.keyDown(key("AltRight", "AltGraph", "Control Alt AltGraph", { timeStamp: 100 }));
    k.keyDown(key("KeyQ", "@", "Control Alt AltGraph"));
    k.keyUp(key("KeyQ", "@", "Control Alt AltGraph"));
    k.keyUp(key("ControlLeft", "Control", "Alt AltGraph"));
    k.keyUp(key("AltRight", "AltGraph"));
    vi.advanceTimersByTime(500);
    expect(short()).toEqual(["+AltRight/16", "+KeyQ/16 @", "-KeyQ/16", "-AltRight/0"]);
  });

  test("a real Ctrl is one, at once with the next key or after a moment", () => {
    const k = keyboard("windows");
    k.keyDown(key("ControlLeft", "Control", "Control"));
    expect(short()).toEqual([]);
    k.keyDown(key("KeyC", "c", "Control"));
    expect(short()).toEqual(["+ControlLeft/2", "+KeyC/2"]);
    k.keyUp(key("KeyC", "c", "Control"));
    k.keyUp(key("ControlLeft", "Control"));
    k.keyDown(key("ControlLeft", "Control", "Control"));
    vi.advanceTimersByTime(150);
    expect(short().at(-1)).toBe("+ControlLeft/2");
    k.keyUp(key("ControlLeft", "Control"));
    expect(short().at(-1)).toBe("-ControlLeft/0");
  });

  test("a Ctrl alone, let go quickly, is pressed and released", () => {
    const k = keyboard("windows");
    k.keyDown(key("ControlLeft", "Control", "Control"));
    k.keyUp(key("ControlLeft", "Control"));
    expect(short()).toEqual(["+ControlLeft/2", "-ControlLeft/0"]);
  });
});

describe("Mac", () => {
  test("Command is Ctrl, and keys under it do not get stuck", () => {
    const k = keyboard("mac");
    k.keyDown(key("MetaLeft", "Meta", "Meta"));
    k.keyDown(key("KeyC", "c", "Meta")); // no keyup ever comes
    k.keyUp(key("MetaLeft", "Meta"));
    expect(short()).toEqual(["+ControlLeft/2", "+KeyC/2", "-KeyC/2", "-ControlLeft/0"]);
    expect(sender.holdsAny).toBe(false);
  });

  test("Command can stay itself", () => {
    const k = keyboard("mac");
    k.commandAsControl = false;
    k.keyDown(key("MetaLeft", "Meta", "Meta"));
    expect(short()).toEqual(["+MetaLeft/8"]);
  });

  test("Option with a character types it; with a key it is Alt; alone it is Alt", () => {
    const k = keyboard("mac");
    k.keyDown(key("AltLeft", "Alt", "Alt"));
    k.keyDown(key("KeyL", "@", "Alt"));
    k.keyUp(key("KeyL", "@", "Alt"));
    expect(short()).toEqual(["+KeyL/16 @", "-KeyL/4"]);
    k.keyDown(key("Tab", "Tab", "Alt"));
    expect(short().slice(2)).toEqual(["+AltLeft/4", "+Tab/4"]);
    k.keyUp(key("Tab", "Tab", "Alt"));
    k.keyUp(key("AltLeft", "Alt"));
    k.keyDown(key("AltRight", "Alt", "Alt"));
    k.keyUp(key("AltRight", "Alt"));
    expect(short().slice(-2)).toEqual(["+AltRight/4", "-AltRight/0"]);
  });
});

test("lock lights are stated before the first key and when they change; lock keys are never pressed", () => {
  const k = keyboard();
  k.keyDown(key("KeyA", "A", "CapsLock NumLock"));
  k.keyDown(key("KeyB", "B", "CapsLock NumLock"));
  k.keyDown(key("CapsLock", "CapsLock", "CapsLock NumLock"));
  k.keyUp(key("CapsLock", "CapsLock", "NumLock"));
  expect(sent.filter((f) => f.type === "set_locks")).toEqual([
    { type: "set_locks", locks: 3 },
    { type: "set_locks", locks: 2 },
  ]);
  expect(sent[0]?.type).toBe("set_locks");
  expect(short()).toEqual(["+KeyA/96 A", "+KeyB/96 B"]);
});

test("a chord presses all, with the modifiers said truly, and releases in reverse", () => {
  keyboard().chord(["ControlLeft", "AltLeft", "Delete"]);
  expect(short()).toEqual([
    "+ControlLeft/2",
    "+AltLeft/6",
    "+Delete/6",
    "-Delete/6",
    "-AltLeft/2",
    "-ControlLeft/0",
  ]);
});

test("own shortcuts let go of the keys that called them", () => {
  const asked: string[] = [];
  const k = new Keyboard({ sender, platform: "other", ownShortcut: (code) => asked.push(code) > 0 });
  k.keyDown(key("ControlLeft", "Control", "Control"));
  k.keyDown(key("AltLeft", "Alt", "Control Alt"));
  k.keyDown(key("ShiftLeft", "Shift", "Control Alt Shift"));
  asked.length = 0;
  expect(k.keyDown(key("KeyF", "F", "Control Alt Shift"))).toBe(true);
  expect(asked).toEqual(["KeyF"]);
  expect(short().at(-1)).toBe("release");
});

test("a key that pastes lets the browser's paste event happen", () => {
  const k = new Keyboard({ sender, platform: "other", beforePaste: () => true });
  expect(k.keyDown(key("KeyV", "v", "Control"))).toBe(false);
  expect(k.keyDown(key("Insert", "Insert", "Shift"))).toBe(false);
  expect(k.keyDown(key("KeyV", "v"))).toBe(true);
});

test("platforms", () => {
  expect(platformOf({ platform: "MacIntel", maxTouchPoints: 0 })).toBe("mac");
  expect(platformOf({ platform: "Win32", maxTouchPoints: 0 })).toBe("windows");
  expect(platformOf({ platform: "Linux x86_64", maxTouchPoints: 0 })).toBe("other");
});
