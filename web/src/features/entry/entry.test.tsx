import { screen, waitFor } from "@testing-library/react";
import { userEvent } from "@testing-library/user-event";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeGateway, someMe } from "../../testing/gateway.ts";
import { openConsole } from "../../testing/render.tsx";

let gateway: FakeGateway;
let signedIn: boolean;

beforeEach(() => {
  signedIn = false;
  gateway = new FakeGateway()
    .on("GET /api/me", () =>
      signedIn
        ? { body: someMe() }
        : { status: 401, body: { code: "unauthorized", detail: "sign in first" } },
    )
    .on("GET /api/overview", {
      body: { devices: { total: 0, online: 0 }, sessions: { live: 0, waiting: 0 }, attention: [] },
    });
});
afterEach(() => {
  vi.unstubAllGlobals();
  window.location.hash = "";
});

describe("sign-in", () => {
  const fill = async () => {
    const user = userEvent.setup();
    await user.type(await screen.findByRole("textbox", { name: /Email/ }), "ada@example.org");
    await user.type(screen.getByLabelText(/^Password/), "correct horse");
    await user.click(screen.getByRole("button", { name: "Sign in" }));
  };

  it("is where a stranger lands, and leads to the page that was asked for", async () => {
    gateway.on("POST /api/sign-in", () => {
      signedIn = true;
      return { status: 204 };
    });
    const { router } = openConsole("/account");
    await fill();
    expect(await screen.findByRole("heading", { name: "Your account" })).toBeTruthy();
    expect(router.state.location.pathname).toBe("/account");
  });

  it("says that the password is wrong, and empties it", async () => {
    gateway.on("POST /api/sign-in", {
      status: 401,
      body: { code: "wrong_password", detail: "email or password is wrong" },
    });
    openConsole("/sign-in");
    await fill();
    expect((await screen.findByRole("alert")).textContent).toMatch(/do not match/);
    await waitFor(() => expect((screen.getByLabelText(/^Password/) as HTMLInputElement).value).toBe(""));
  });

  it("counts down when there were too many tries", async () => {
    gateway.on("POST /api/sign-in", {
      status: 429,
      body: { code: "rate_limited", detail: "too many attempts", retry_after_ms: 30_000 },
    });
    openConsole("/sign-in");
    await fill();
    expect((await screen.findByRole("alert")).textContent).toMatch(/try again in (30|29) s/);
    expect((screen.getByRole("button", { name: "Sign in" }) as HTMLButtonElement).disabled).toBe(true);
  });

  it("goes nowhere but to this console's own pages", async () => {
    gateway.on("POST /api/sign-in", () => {
      signedIn = true;
      return { status: 204 };
    });
    const { router } = openConsole("/sign-in?to=//evil.example/x");
    await fill();
    expect(await screen.findByRole("heading", { name: "Overview" })).toBeTruthy();
    expect(router.state.location.pathname).toBe("/");
  });
});

describe("setup", () => {
  it("sends the token of the fragment and opens the overview", async () => {
    const user = userEvent.setup();
    window.location.hash = "#0123abcd";
    gateway.on("GET /api/setup", { body: { needed: true } }).on("POST /api/setup", () => {
      signedIn = true;
      return { status: 204 };
    });
    openConsole("/setup");
    await user.type(await screen.findByRole("textbox", { name: /Organisation/ }), "Northwind");
    await user.type(screen.getByRole("textbox", { name: /Your name/ }), "Ada");
    await user.type(screen.getByRole("textbox", { name: /Email/ }), "ada@example.org");
    await user.type(screen.getByLabelText(/^Password/), "short");
    await user.click(screen.getByRole("button", { name: "Create admin account" }));
    expect(screen.getByText(/5 more/)).toBeTruthy();
    expect(gateway.requests("POST", "/api/setup")).toHaveLength(0);
    await user.type(screen.getByLabelText(/^Password/), " but longer");
    await user.click(screen.getByRole("button", { name: "Create admin account" }));
    expect(await screen.findByRole("heading", { name: "Overview" })).toBeTruthy();
    expect(gateway.requests("POST", "/api/setup")[0]?.body).toMatchObject({
      token: "0123abcd",
      organisation: "Northwind",
    });
  });

  it("says that the link is used up once there is an admin", async () => {
    window.location.hash = "#0123abcd";
    openConsole("/setup");
    expect(await screen.findByRole("heading", { name: "Already set up" })).toBeTruthy();
  });
});
