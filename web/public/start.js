// What must happen before the console's own script: a file of its own, because the content
// security policy allows no inline script.

// Light or dark before the first paint.
(() => {
  let wish = "auto";
  try {
    wish = localStorage.getItem("handrail-scheme") || "auto";
  } catch {
    // storage is switched off: follow the system
  }
  const dark = wish === "dark" || (wish !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();

// A part of the page that the network lost must not leave a blank page: it is loaded again
// once, and then a sentence says what to do.
(() => {
  const key = "handrail-reloaded-at";
  const soonMs = 20_000;
  const failed = () => {
    const root = document.getElementById("root");
    if (root && root.childElementCount > 0) return; // the console runs, and speaks for itself
    try {
      const last = Number(sessionStorage.getItem(key) ?? 0);
      if (Date.now() - last > soonMs) {
        sessionStorage.setItem(key, String(Date.now()));
        setTimeout(() => location.reload(), 500);
        return;
      }
    } catch {
      // without storage nobody would know that it is the second time
    }
    const note = document.createElement("p");
    note.setAttribute("role", "alert");
    note.style.cssText =
      "font: 1rem system-ui, sans-serif; margin: 15vh auto; max-width: 30rem; padding: 0 1rem";
    note.textContent = "Handrail could not load: the connection to the gateway broke off. ";
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Load again";
    again.onclick = () => location.reload();
    note.append(again);
    root?.append(note);
  };
  // Load errors of scripts and styles do not bubble; they are seen on their way down.
  addEventListener(
    "error",
    (e) => {
      const t = e.target;
      if (t instanceof HTMLScriptElement || (t instanceof HTMLLinkElement && t.rel !== "icon")) failed();
    },
    true,
  );
})();
