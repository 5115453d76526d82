import { describe, expect, test } from "vitest";
import {
  holdsControl,
  initialView,
  isInControl,
  next,
  phaseOf,
  type SessionEvent,
  type SessionView,
} from "./state.ts";
import type { State, Status } from "./wire.gen.ts";
import { wordsFor } from "./words.ts";

const joined = (state: State): SessionEvent => ({
  kind: "joined",
  body: {
    session: "ses_a",
    peer: "peer_a",
    capabilities: ["view", "control"],
    ice_servers: [],
    state,
    device_name: "demo-desktop",
  },
});
const stated = (state: State, more: object = {}): SessionEvent => ({
  kind: "state",
  body: { session: "ses_a", state, granted: [], online: true, ...more },
});
const status = (more: Partial<Status>): SessionEvent => ({
  kind: "status",
  body: {
    you: "peer_a",
    granted: ["view", "control"],
    may: ["view", "control"],
    paused: false,
    control: "",
    viewers: [{ peer: "peer_a", name: "Ada" }],
    ...more,
  },
});
const after = (...events: SessionEvent[]): SessionView => events.reduce(next, initialView());
const up: SessionEvent = { kind: "transport", transport: "connected" };
const shown: SessionEvent = { kind: "shown" };

test("from the click to the picture", () => {
  const events: SessionEvent[] = [
    { kind: "created", sessionId: "ses_a" },
    { kind: "gateway", connected: true },
    joined("requested"),
    stated("requested", { deadline_us: 5 }),
    stated("consented"),
    { kind: "transport", transport: "connecting" },
    up,
    shown,
  ];
  const phases = events.map((_, i) => phaseOf(after(...events.slice(0, i + 1))));
  expect(phases).toEqual([
    "joining",
    "joining",
    "waiting",
    "waiting",
    "connecting",
    "connecting",
    "connecting",
    "live",
  ]);
});

test("a gap is a reconnect, and the gateway's death is none", () => {
  const live = after(joined("live"), up, shown, { kind: "gateway", connected: false });
  expect(phaseOf(live)).toBe("live");
  const gap = next(live, { kind: "transport", transport: "interrupted" });
  expect(phaseOf(gap)).toBe("reconnecting");
  expect(phaseOf(next(gap, { kind: "transport", transport: "connecting" }))).toBe("reconnecting");
  expect(phaseOf(next(gap, up))).toBe("live");
});

test("an ended session stays ended, whatever comes late", () => {
  for (const end of ["ended", "declined", "expired", "failed"] as const) {
    const over = after(joined("requested"), stated(end, { message: "why" }), joined("live"), stated("live"));
    expect(over.state).toBe(end);
    expect(phaseOf(over)).toBe("over");
  }
});

test("only who holds control and may, is in control", () => {
  const base = after(joined("live"), up);
  expect(isInControl(next(base, status({ control: "peer_a" })))).toBe(true);
  expect(isInControl(next(base, status({ control: "peer_b" })))).toBe(false);
  expect(isInControl(next(base, status({ control: "peer_a", may: ["view"], paused: true })))).toBe(false);
  const lost = next(next(base, status({ control: "peer_a" })), {
    kind: "transport",
    transport: "interrupted",
  });
  expect(isInControl(lost)).toBe(false);
});

test("who asks for control is shown to the holder until answered, gone, or the holder lost it", () => {
  const viewers = [
    { peer: "peer_a", name: "Ada" },
    { peer: "peer_b", name: "Theo" },
  ];
  const asked = after(joined("live"), up, status({ control: "peer_a", viewers }), {
    kind: "asked",
    viewer: { peer: "peer_b", name: "Theo" },
  });
  expect(asked.askedBy).toHaveLength(1);
  expect(next(asked, { kind: "answered", peer: "peer_b" }).askedBy).toEqual([]);
  expect(next(asked, status({ control: "peer_a" })).askedBy).toEqual([]);
  expect(next(asked, status({ control: "peer_b", viewers })).askedBy).toEqual([]);
  expect(next(asked, status({ control: "peer_a", viewers })).askedBy).toHaveLength(1);
});

describe("words", () => {
  test("a live picture needs none; a paused or missing one says why", () => {
    const live = after(joined("live"), up, shown);
    expect(wordsFor(live)).toBeNull();
    expect(wordsFor(next(live, status({ paused: true })))?.title).toBe("Paused");
    const picture = { codec: "vp8", width: 0, height: 0, message: "The X server went away." };
    const none = next(live, { kind: "picture", body: { state: "no_display", ...picture } });
    expect(wordsFor(none)).toMatchObject({ title: "No screen to show", detail: "The X server went away." });
  });

  test("every way a session can be over has a title and a reason", () => {
    for (const s of ["ended", "declined", "expired", "failed"] as const) {
      const w = wordsFor(after(joined("requested"), stated(s)));
      expect(w?.title).not.toBe("");
      expect(w?.detail).not.toBe("");
    }
    const titleOf = (s: State, more: object) => wordsFor(after(joined("requested"), stated(s, more)))?.title;
    expect(titleOf("declined", { ended_by: "mia" })).toBe("Not accepted");
    expect(titleOf("declined", {})).toBe("Nobody could be asked");
    expect(titleOf("expired", {})).toBe("No answer");
    expect(titleOf("expired", { granted: ["view"] })).toBe("Expired");
    const refused = after({ kind: "refused", code: "forbidden", message: "" });
    expect(wordsFor(refused)).toMatchObject({ title: "Not allowed" });
  });

  test("a gap names the end that lost its network", () => {
    const gap = after(joined("live"), { kind: "gateway", connected: true }, up, shown, {
      kind: "transport",
      transport: "interrupted",
    });
    expect(wordsFor(next(gap, { kind: "gateway", connected: false }))?.detail).toMatch(
      /between you and the gateway/,
    );
    expect(wordsFor(next(gap, stated("live", { online: false })))?.detail).toMatch(/has lost its network/);
  });
});

test("how a session ended is said, the gateway's word over the device's", () => {
  const detail = (...events: SessionEvent[]) => wordsFor(after(joined("live"), up, shown, ...events))?.detail;
  const closed: SessionEvent = { kind: "refused", code: "ended", message: "The session was ended." };
  expect(detail(closed)).toBe("The session was ended.");
  expect(detail(closed, stated("ended", { message: "stopped at the device", ended_by: "mia" }))).toBe(
    "Ended by mia: stopped at the device.",
  );
  expect(detail(closed, stated("ended"))).toBe("The session was ended.");
  expect(
    detail(stated("ended", { message: "stopped at the device", ended_by: "person at the device" })),
  ).toBe("Stopped at the device.");
  expect(detail(stated("ended", { ended_by: "Ada" }))).toBe("Ended by Ada.");
  expect(detail(stated("ended"))).toBe("The session is over.");
  const full = wordsFor(
    after(joined("requested"), stated("failed", { message: "End one, then try again." })),
  );
  expect(full).toMatchObject({ title: "The session failed", detail: "End one, then try again." });
});

test("control is held through a gap and used only with a connection", () => {
  const held = after(joined("live"), up, shown, status({ control: "peer_a" }));
  const gap = next(held, { kind: "transport", transport: "interrupted" });
  expect([holdsControl(held), isInControl(held)]).toEqual([true, true]);
  expect([holdsControl(gap), isInControl(gap)]).toEqual([true, false]);
});
