// The list of keys.

import { h, iconButton } from "./dom.js";
import { setShortcuts, shortcutsOn } from "./shortcuts.js";

export function show(list) {
  const on = h("input", { type: "checkbox", checked: shortcutsOn(), onchange: () => setShortcuts(on.checked) });
  const dialog = h("dialog.help", { "aria-labelledby": "help-title", onclose: () => dialog.remove() },
    h("header", {}, h("h2", { id: "help-title" }, "Keyboard"), iconButton("close", "Close", () => dialog.close())),
    h("dl", {}, list.map(({ keys, shown, about }) => h("div", {}, h("dt", {}, h("kbd", {}, shown ?? keys[0])), h("dd", {}, about)))),
    h("label.check", {}, on, " Single keys are shortcuts"));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
}
