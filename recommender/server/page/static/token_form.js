// Asks for the server's token, once, and loads the page again when it is right.

import { fill, h } from "./dom.js";
import { note } from "./loading.js";

export function ask(api) {
  if (document.querySelector("dialog.token")) return;
  const said = h("div", { "aria-live": "polite" });
  const field = h("input", { type: "password", id: "token", required: true, autocomplete: "current-password", maxlength: 400 });
  const dialog = h("dialog.token", { "aria-labelledby": "token-title" },
    h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        try {
          await api.post("session", { token: field.value.trim() });
          location.reload();
        } catch (error) {
          fill(said, note(error.message));
          field.select();
        }
      },
    },
    h("h2", { id: "token-title" }, "This server asks for its token"),
    h("p.soft", {}, "It stands in the file that was given to soundalike serve with --token-file."),
    h("label", { for: "token" }, "Token"), field, said,
    h("button.primary", { type: "submit" }, "Go on")));
  dialog.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(dialog);
  dialog.showModal();
}
