import { expect, test, vi } from "vitest";
import { PipedTool, type ToolEnd, type ToolPipe } from "./toolchannel.ts";

/** A tool whose events are listed as they come. */
function listened(pipe: Partial<ToolPipe> = {}): { tool: PipedTool; events: unknown[] } {
  const tool = new PipedTool("vitals", {
    isOpen: () => true,
    send: () => true,
    buffered: () => 0,
    close: () => {},
    ...pipe,
  });
  const events: unknown[] = [];
  tool.on("open", () => events.push("open"));
  tool.on("message", (m) => events.push(m));
  tool.on("low", () => events.push("low"));
  tool.on("close", (e) => events.push(e));
  return { tool, events };
}

const nobodySaidWhy: ToolEnd = { code: "", message: "" };

test("messages pass as they came, and a lost connection has no reason", () => {
  const { tool, events } = listened();
  const bytes = new ArrayBuffer(3);
  tool.opened();
  tool.received('{"v":1,"type":"vitals","body":{}}');
  tool.received(bytes);
  tool.received("not even JSON");
  tool.drained();
  tool.ended();
  tool.ended();
  expect(events).toEqual([
    "open",
    '{"v":1,"type":"vitals","body":{}}',
    bytes,
    "not even JSON",
    "low",
    nobodySaidWhy,
  ]);
});

test("the device's reason is told with the end and is no message", () => {
  const { tool, events } = listened();
  tool.received('{"v":1,"type":"say","body":{"code":"not_granted","message":"Taken back.","what":"vitals"}}');
  tool.ended();
  expect(events).toEqual([{ code: "not_granted", message: "Taken back." }]);
});

test("what only looks like a reason stays a message", () => {
  const { tool, events } = listened();
  const texts = ['{"v":1,"type":"x","body":{"type":"say"}}', '{"v":1,"type":"say"', ' {"v":1,"type":"say"}'];
  for (const text of texts) tool.received(text);
  expect(events).toEqual(texts);
});

test("after close nothing is told and nothing is sent", () => {
  const close = vi.fn();
  const send = vi.fn(() => true);
  const { tool, events } = listened({ close, send });
  expect(tool.send("a")).toBe(true);
  tool.close();
  tool.received("late");
  tool.ended();
  expect(tool.send("b")).toBe(false);
  expect(close).toHaveBeenCalledOnce();
  expect(send).toHaveBeenCalledOnce();
  expect(events).toEqual([]);
});

test("it is open only while its pipe is and it is not over", () => {
  let open = false;
  const { tool } = listened({ isOpen: () => open });
  expect(tool.isOpen).toBe(false);
  open = true;
  expect(tool.isOpen).toBe(true);
  tool.ended();
  expect(tool.isOpen).toBe(false);
});
