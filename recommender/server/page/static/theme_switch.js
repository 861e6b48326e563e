// Light or dark, against the system's choice if one wants it; remembered on this device.

export function toggle() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  root.dispatchEvent(new CustomEvent("theme", { bubbles: true }));
  try {
    localStorage.setItem("theme", root.dataset.theme);
  } catch { /* storage is off: the choice lasts as long as the page */ }
}
