import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { InputFrame } from "../session/frames.ts";
import { Sender } from "./sender.ts";

let sent: InputFrame[];
let frames: (() => void)[];
let sender: Sender;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  frames = [];
  sender = new Sender({ send: (f) => sent.push(f), nextFrame: (then) => frames.push(then) });
  sender.enabled = true;
});
afterEach(() => vi.useRealTimers());

const place = (x: number) => ({ monitor: 1, x, y: 1 });
const nextFrame = () => {
  for (const f of frames.splice(0)) f();
};
const kinds = () => sent.map((f) => f.type);

test("moves of one frame become two: the first at once, the newest at its end", () => {
  for (const x of [1, 2, 3, 4]) sender.move(place(x));
  expect(sent).toHaveLength(1);
  nextFrame();
  expect(sent.map((f) => (f.type === "move" ? f.x : -1))).toEqual([1, 4]);
  nextFrame();
  expect(sent).toHaveLength(2);
});

test("a waiting move goes before the edge, and never after it", () => {
  sender.move(place(1));
  sender.move(place(2));
  sender.setButtons(1, place(2));
  expect(kinds()).toEqual(["move", "move", "button"]);
  nextFrame();
  nextFrame();
  vi.advanceTimersByTime(80);
  expect(kinds()).toEqual(["move", "move", "button"]);
});

test("the last position is said again when the pointer rests", () => {
  sender.move(place(7));
  nextFrame();
  vi.advanceTimersByTime(61);
  expect(sent).toEqual([
    { type: "move", buttons: 0, monitor: 1, x: 7, y: 1 },
    { type: "move", buttons: 0, monitor: 1, x: 7, y: 1 },
  ]);
});

test("edges are never merged and carry the mask after them", () => {
  sender.setButtons(1 | 2, place(1));
  sender.setButtons(2, place(1));
  sender.setButtons(0, place(1));
  expect(sent.map((f) => (f.type === "button" ? [f.button, f.down, f.buttons] : []))).toEqual([
    [0, true, 1],
    [1, true, 3],
    [0, false, 2],
    [1, false, 0],
  ]);
});

test("what is held is said every 100 ms, and only then", () => {
  sender.keyDown(4, 0, "a");
  sender.setButtons(4, place(1));
  vi.advanceTimersByTime(250);
  expect(sent.filter((f) => f.type === "held")).toEqual([
    { type: "held", buttons: 4, codes: [4] },
    { type: "held", buttons: 4, codes: [4] },
  ]);
  sender.keyUp(4, 0);
  sender.setButtons(0, place(1));
  sent.length = 0;
  vi.advanceTimersByTime(1000);
  expect(sent).toEqual([]);
});

test("losing control lets go of everything, once, and nothing goes out afterwards", () => {
  sender.keyDown(0xe1, 1, "");
  sender.enabled = false;
  expect(kinds()).toEqual(["key_down", "release_all"]);
  sender.keyDown(4, 0, "a");
  sender.move(place(1));
  sender.setButtons(1, place(1));
  sender.text("x");
  vi.advanceTimersByTime(1000);
  expect(kinds()).toEqual(["key_down", "release_all"]);
});

test("nothing held, nothing to let go of", () => {
  sender.releaseAll();
  expect(sent).toEqual([]);
});

test("keys wait for the clipboard text that goes before them, in order, and not for ever", () => {
  sender.pause(50);
  sender.keyDown(0x19, 2, "");
  sender.keyUp(0x19, 2);
  expect(sent).toEqual([]);
  vi.advanceTimersByTime(60);
  expect(kinds()).toEqual(["key_down", "key_up"]);
});

test("a key that was never pressed is not released", () => {
  sender.keyUp(4, 0);
  expect(sent).toEqual([]);
});

test("a hostile number of keys is not sent", () => {
  for (let code = 4; code < 100; code++) sender.keyDown(code, 0, "");
  expect(kinds().filter((k) => k === "key_down")).toHaveLength(48);
});
