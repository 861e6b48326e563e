// The seeds as chips below the top of the page, and a field for words that steer.

import { fill, foreign, h, icon } from "./dom.js";
import { url } from "./api.js";
import { readWish } from "./seeds.js";
import { nameOf, plain, titleOf } from "./text.js";

const WISHES = ["calmer", "faster", "more piano", "less vocals"];

/** Draw the chips whenever the seeds change; `steer` is called when the listener changed them. */
export function seedStrip(element, { seeds, api, steer }) {
  const list = h("ul.chips", { "aria-label": "Seeds" });
  const words = h("datalist", { id: "words" });
  const field = h("input", {
    id: "wish", list: "words", maxlength: 60, placeholder: "calmer, less vocals …", autocomplete: "off", dir: "auto",
    onfocus: () => knowWords(api, words),
  });
  const form = h("form.wish", {
    onsubmit: (event) => {
      event.preventDefault();
      const { word, list: where } = readWish(field.value);
      if (!word) return;
      seeds.setWord(word, where);
      field.value = "";
      steer();
    },
  }, h("label.unseen", { for: "wish" }, "More or less of a word"), field, words,
  h("button.quiet.small", { type: "submit" }, "Steer"));
  const clear = h("button.link", { type: "button", onclick: () => { seeds.clear(); steer(); } }, "Clear");
  const wishes = h("div.wishes", { role: "group", "aria-label": "Words that steer" });
  fill(element, h("div.inner", {}, list, clear, wishes, form));

  const draw = () => {
    element.hidden = seeds.empty;
    if (seeds.empty) return;
    const held = [list, wishes].some((one) => one.contains(document.activeElement));
    fill(list,
      seeds.like.map((id) => trackChip(seeds, api, id, "like", steer)),
      seeds.dislike.map((id) => trackChip(seeds, api, id, "dislike", steer)),
      ["more", "less"].map((sign) => seeds[sign].map((word) => wordChip(seeds, word, sign, steer))));
    const open = WISHES.filter((wish) => !used(seeds, wish));
    fill(wishes, open.slice(0, 2).map((wish) => h("button.chip.ghost", {
      type: "button", "aria-label": `Steer: ${wish}`,
      onclick: () => { const { word, list: where } = readWish(wish); seeds.setWord(word, where); steer(); },
    }, icon("plus"), wish)));
    if (held) field.focus({ preventScroll: true });
  };
  seeds.addEventListener("change", draw);
  draw();
}

/** Whether a word of a wish is asked for already, be it as "calm" or "calmer". */
function used(seeds, wish) {
  const stem = readWish(wish).word.slice(0, 4);
  return [...seeds.more, ...seeds.less].some((word) => word.startsWith(stem));
}

function trackChip(seeds, api, id, list, steer) {
  const label = h("span.label", {}, String(id));
  const name = (track) => fill(label, foreign(plain(titleOf(track), 60)));
  const known = seeds.tracks.get(id);
  const remove = h("button.remove", {
    type: "button", "aria-label": `Remove ${known ? plain(nameOf(known), 60) : id}`,
    onclick: () => { seeds.remove(id, list); steer(); },
  }, icon("close"));
  if (known) name(known);
  else if (typeof id === "number") {
    api.get(`tracks/${id}`).then((track) => {
      seeds.tracks.set(id, track);
      name(track);
      remove.setAttribute("aria-label", `Remove ${plain(nameOf(track), 60)}`);
    }).catch(() => { /* the answer of the view says that there is no such track */ });
  }
  const cover = typeof id === "number" && h("img", { src: url(`tracks/${id}/cover`), alt: "", width: 24, height: 24 });
  return h(`li.chip.seed.${list}`, {}, cover, h("span.unseen", {}, list === "like" ? "Like: " : "Not like: "), label, remove);
}

function wordChip(seeds, word, list, steer) {
  const shown = `${list} ${plain(word, 40)}`;
  return h(`li.chip.word.${list}`, {}, icon(list === "more" ? "up" : "down"), foreign(shown),
    h("button.remove", { type: "button", "aria-label": `Remove ${shown}`, onclick: () => { seeds.remove(word, list); steer(); } }, icon("close")));
}

async function knowWords(api, datalist) {
  if (datalist.childElementCount) return;
  try {
    const { tags, genres, synonyms } = await api.get("vocabulary");
    const names = [...new Set([...tags, ...genres, ...Object.keys(synonyms)])];
    fill(datalist, names.slice(0, 400).map((value) => h("option", { value })));
  } catch { /* a field without suggestions takes the same words */ }
}
