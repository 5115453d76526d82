import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Invalidator } from "./live.tsx";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function keysOf(spy: ReturnType<typeof vi.fn>): string[] {
  return spy.mock.calls.map(([filter]) => String((filter as { queryKey: string[] }).queryKey[0])).sort();
}

it("gathers a burst of changes into one refresh of each noun", () => {
  const client = new QueryClient();
  const spy = vi.fn(async () => undefined);
  client.invalidateQueries = spy;
  const invalidator = new Invalidator(client);
  for (let i = 0; i < 500; i++) invalidator.changed("devices");
  invalidator.changed("sessions");
  expect(spy).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(keysOf(spy)).toEqual([
    "compliance",
    "devices",
    "labels",
    "overview",
    "policies",
    "sessions",
    "settings",
  ]);
});

it("ignores a topic of a newer gateway and says nothing after stop", () => {
  const client = new QueryClient();
  const spy = vi.fn(async () => undefined);
  client.invalidateQueries = spy;
  const invalidator = new Invalidator(client);
  invalidator.changed("policies");
  invalidator.changed("audit");
  invalidator.stop();
  vi.advanceTimersByTime(1000);
  expect(spy).not.toHaveBeenCalled();
});
