import { beforeEach, expect, test } from "vitest";
import { Gestures, type Meaning } from "./gesture.ts";
import { Wheel } from "./wheel.ts";

let meant: Meaning[];
let g: Gestures;
beforeEach(() => {
  meant = [];
  g = new Gestures((m) => meant.push(m));
});
const kinds = () => meant.map((m) => (m.kind === "drag" ? `drag ${m.phase}` : m.kind));

test("a tap clicks where the finger came down", () => {
  g.down({ id: 1, x: 50, y: 60 }, 0);
  g.move({ id: 1, x: 54, y: 62 });
  g.up(1, 120);
  expect(meant).toEqual([{ kind: "click", button: "left", x: 50, y: 60 }]);
});

test("a finger that rests is the right button, one that then moves still drags", () => {
  g.down({ id: 1, x: 5, y: 5 }, 0);
  g.hold();
  g.up(1, 700);
  expect(meant).toEqual([{ kind: "click", button: "right", x: 5, y: 5 }]);
  meant.length = 0;
  g.down({ id: 2, x: 5, y: 5 }, 1000);
  g.hold();
  g.move({ id: 2, x: 40, y: 5 });
  g.up(2, 2000);
  expect(kinds()).toEqual(["drag start", "drag move", "drag end"]);
  expect(meant[0]).toMatchObject({ x: 5, y: 5 });
});

test("two fingers tap: right button, once, and no click of the first finger", () => {
  g.down({ id: 1, x: 10, y: 10 }, 0);
  g.down({ id: 2, x: 90, y: 10 }, 20);
  g.up(1, 150);
  g.up(2, 160);
  expect(meant).toEqual([{ kind: "click", button: "right", x: 50, y: 10 }]);
});

test("two fingers together scroll", () => {
  g.down({ id: 1, x: 10, y: 100 }, 0);
  g.down({ id: 2, x: 60, y: 100 }, 5);
  for (let y = 95; y >= 60; y -= 5) {
    g.move({ id: 1, x: 10, y });
    g.move({ id: 2, x: 60, y });
  }
  expect(new Set(kinds())).toEqual(new Set(["scroll"]));
  const way = meant.reduce((sum, m) => sum + (m.kind === "scroll" ? m.dy : 0), 0);
  expect(way).toBe(-40);
});

test("two fingers apart zoom around their middle", () => {
  g.down({ id: 1, x: 100, y: 100 }, 0);
  g.down({ id: 2, x: 200, y: 100 }, 5);
  g.move({ id: 1, x: 60, y: 100 });
  g.move({ id: 2, x: 260, y: 100 });
  const factor = meant.reduce((all, m) => all * (m.kind === "zoom" ? m.factor : 1), 1);
  expect(factor).toBeCloseTo(2);
  g.up(1, 400);
  g.move({ id: 2, x: 500, y: 500 });
  g.up(2, 500);
  expect(new Set(kinds())).toEqual(new Set(["zoom"]));
});

test("a second finger ends a drag; the system's cancel does too", () => {
  g.down({ id: 1, x: 0, y: 0 }, 0);
  g.move({ id: 1, x: 30, y: 0 });
  g.down({ id: 2, x: 90, y: 0 }, 50);
  expect(kinds()).toEqual(["drag start", "drag move", "drag end"]);
  g.cancel();
  meant.length = 0;
  g.down({ id: 1, x: 0, y: 0 }, 100);
  g.move({ id: 1, x: 30, y: 0 });
  g.cancel();
  expect(kinds().at(-1)).toBe("drag end");
});

test("wheels count in 120ths of a notch in every unit, and keep fractions", () => {
  const w = new Wheel();
  expect(w.take({ deltaX: 0, deltaY: 3, deltaMode: 1 })).toEqual({ dx: 0, dy: 120 });
  expect(w.take({ deltaX: -3, deltaY: 0, deltaMode: 1 })).toEqual({ dx: -120, dy: 0 });
  expect(w.take({ deltaX: 0, deltaY: 53, deltaMode: 0, wheelDeltaX: 0, wheelDeltaY: -120 })).toEqual({
    dx: 0,
    dy: 120,
  });
  let sum = 0;
  for (let i = 0; i < 100; i++) sum += w.take({ deltaX: 0, deltaY: 0.5, deltaMode: 0 }).dy;
  expect(sum).toBe(60);
});
