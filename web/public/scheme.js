// Sets light or dark before the first paint. A file of its own, because the content
// security policy allows no inline script.
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
