// Why a row is an answer, as chips.

import { foreign, h, icon } from "./dom.js";
import { clock, percent, plain } from "./text.js";

/** Chips of a neighbour's explanation. */
export function reasonsOf(why) {
  if (!why) return [];
  const chips = (why.words ?? []).map(wordChip);
  if (why.seed) chips.push(h("span.reason.seed", { title: `Of the seeds it is nearest to ${plain(why.seed, 80)}` }, "like ", foreign(plain(shortName(why.seed), 40))));
  for (const tag of why.tags ?? []) chips.push(h("span.reason", { title: "Both have it, most tracks have not" }, foreign(plain(tag, 30))));
  if (why.tempo_bpm) chips.push(h("span.reason", { title: "The same tempo" }, icon("tempo"), `${Math.round(why.tempo_bpm)} BPM`));
  if (why.musical_key) chips.push(h("span.reason", { title: "The same key" }, icon("key"), foreign(plain(why.musical_key, 20))));
  if (why.windows) {
    const { first_s: first, second_s: second } = why.windows;
    chips.push(h("span.reason", { title: "Where both sound most alike" }, `${clock(second)} like the seed's ${clock(first)}`));
  }
  return chips;
}

/** The title in "artist - title". */
const shortName = (label) => label.split(" - ").slice(1).join(" - ") || label;

/** A word of the question: how well it fits, and by how many places it moved the row. */
function wordChip({ word, percentile, moved, because }) {
  const fits = percentile === null || percentile === undefined ? "" : `fits better than ${percent(percentile)} of the library`;
  const effect = moved ? `moved ${moved > 0 ? "up" : "down"} ${Math.abs(moved)}` : "not moved";
  return h("span.reason.word", { title: [because, fits, effect].filter(Boolean).join(", ") }, foreign(plain(word, 30)),
    h("span.moved", { "aria-hidden": "true" }, moved ? [icon(moved > 0 ? "up" : "down"), Math.abs(moved)] : null), h("span.unseen", {}, effect));
}

/** Chips of how well the words of a search by sound fit a track. */
export function matchesOf(matches) {
  return matches.map(({ word, percentile, because }) =>
    h("span.reason", { title: plain(because, 80) }, foreign(plain(word, 30)), ` ${percent(percentile)}`));
}
