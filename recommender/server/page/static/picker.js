// A field that finds one track by name: a combobox with a list of what fits.

import { fill, foreign, h } from "./dom.js";
import { url } from "./api.js";
import { Latest } from "./loading.js";
import { isAbort } from "./api.js";
import { plain, titleOf } from "./text.js";

const TYPING_MS = 120;
const SHOWN = 8;

/** A field with a label; `choose` gets the track. */
export function picker({ api, label, choose, signal, notices }) {
  const id = `pick-${label.toLowerCase().replace(/\W+/g, "-")}`;
  const latest = new Latest(signal);
  let [found, at, timer] = [[], -1, null];
  const list = h("ul.options-list", { id: `${id}-list`, role: "listbox", "aria-label": `Tracks for ${label}`, hidden: true });
  const field = h("input", {
    id, role: "combobox", autocomplete: "off", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list",
    placeholder: "Title, artist or album", maxlength: 500, dir: "auto",
    oninput: () => { clearTimeout(timer); timer = setTimeout(ask, TYPING_MS); },
    onkeydown: key, onblur: () => setTimeout(close, 150),
  });

  async function ask() {
    const q = field.value.trim();
    if (!q) { close(); return; }
    try {
      const { tracks } = await api.get("tracks", { q, limit: SHOWN }, { signal: latest.next() });
      found = tracks;
      mark(tracks.length ? 0 : -1);
      fill(list, tracks.length ? tracks.map(option) : h("li.soft", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, "No track found"));
      mark(at);
      list.hidden = false;
      field.setAttribute("aria-expanded", "true");
    } catch (error) {
      if (!isAbort(error)) notices.fail(error, ask);
    }
  }

  function option(track, index) {
    return h("li", { id: `${id}-${index}`, role: "option", "aria-selected": "false", onclick: () => take(track) },
      h("img", { src: url(`tracks/${track.id}/cover`), alt: "", width: 32, height: 32 }),
      foreign(plain(titleOf(track), 60)), h("span.soft", {}, foreign(plain(track.artist ?? "", 60))));
  }

  function key(event) {
    if (list.hidden || !found.length) return;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (to !== undefined) mark((to + found.length) % found.length);
    else if (event.key === "Enter" && found[at]) take(found[at]);
    else if (event.key === "Escape") close();
    else return;
    event.preventDefault();
  }

  function mark(index) {
    at = index;
    [...list.children].forEach((one, here) => one.setAttribute("aria-selected", String(here === at)));
    if (at >= 0) field.setAttribute("aria-activedescendant", `${id}-${at}`);
    else field.removeAttribute("aria-activedescendant");
  }

  function take(track) {
    close();
    choose(track);
  }

  function close() {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  return h("div.picker", {}, h("label", { for: id }, label), field, list);
}
