import { screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { FakeGateway, someGroup, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

beforeEach(() => {
  new FakeGateway()
    .on("GET /api/me", { body: someMe() })
    .on("GET /api/groups", { body: { items: [someGroup()] } });
});
afterEach(() => vi.unstubAllGlobals());

it("gives the focus back to the menu that a dialog was opened from", async () => {
  const user = userEvent.setup();
  openConsole("/groups");
  const menu = await screen.findByRole("button", { name: /^Change / });
  menu.focus();
  await user.keyboard("{Enter}");
  const item = await screen.findByRole("menuitem", { name: /Edit|Rename|Change/ });
  item.focus();
  await user.keyboard("{Enter}");
  await screen.findByRole("dialog");
  await user.keyboard("{Escape}");
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  await waitFor(() => expect(document.activeElement).toBe(menu));
});

it("goes to the heading when nothing is left that had the focus", async () => {
  openConsole("/groups");
  const heading = await screen.findByRole("heading", { name: "Groups" });
  const button = document.createElement("button");
  document.querySelector("main")?.append(button);
  button.focus();
  button.remove();
  await waitFor(() => expect(document.activeElement).toBe(heading));
});
