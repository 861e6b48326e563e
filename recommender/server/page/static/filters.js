// Filters as chips, each with the count of tracks that would remain.

import { fill, foreign, h, icon, keepFocus } from "./dom.js";
import { Latest, note, problem } from "./loading.js";
import { isAbort } from "./api.js";
import { address } from "./router.js";
import { plain } from "./text.js";

const NAMES = [
  "artist", "album", "genre", "musical_key", "tag", "year_from", "year_to", "tempo_from", "tempo_to",
  "duration_from", "duration_to", "added_since",
];

/** Least tempo of each class that is counted; a class ends just below the next one. */
const TEMPI = [0, 70, 90, 110, 130, 150];
const JUST_BELOW = 0.001;

/** Groups of chips: how the counts name a value, and the parameters that a chip sets. */
const GROUPS = [
  { title: "Genre", facet: "genre", chip: (value) => [value, { genre: value }] },
  { title: "Sound", facet: "tag", chip: (value) => [value, { tag: value }] },
  { title: "Decade", facet: "decade", ordered: true, chip: (value) => [`${value}s`, { year_from: value, year_to: Number(value) + 9 }] },
  { title: "Tempo", facet: "tempo", ordered: true, chip: tempoChip },
  { title: "Key", facet: "musical_key", chip: (value) => [value, { musical_key: value }] },
  { title: "Artist", facet: "artist", chip: (value) => [value, { artist: value }] },
];

function tempoChip(value) {
  const next = TEMPI[TEMPI.indexOf(Number(value)) + 1];
  const params = {
    ...(value === "0" ? {} : { tempo_from: value }),
    ...(next === undefined ? {} : { tempo_to: next - JUST_BELOW }),
  };
  return [`${span(params.tempo_from, params.tempo_to)} BPM`, params];
}

/** The filters among the parameters of an address. */
export function filtersOf(params) {
  return new URLSearchParams([...params].filter(([name]) => NAMES.includes(name)));
}

/** The same as values for the API. */
export function filterValues(params) {
  const values = {};
  for (const [name, value] of filtersOf(params)) (values[name] ??= []).push(value);
  return values;
}

/** Whether an address filters at all. */
export const hasFilters = (params) => filtersOf(params).size > 0;

/** Buttons of the groups, then `others`; the chips of the open group, and the filters that are set. */
export class Filters {
  constructor({ api, router, signal, others = [] }) {
    Object.assign(this, { api, router, others, open: null, route: null });
    this.latest = new Latest(signal);
    this.panel = h("div.facets", { id: "facets" });
    this.bar = h("div.filters", { role: "group", "aria-label": "Filters" });
    this.element = h("section.filtering", { "aria-label": "Filters" }, this.bar, this.panel);
    this.buttons = GROUPS.map((group) => h("button.chip", {
      type: "button", "aria-expanded": "false", "aria-controls": "facets", onclick: () => this.#toggle(group),
    }, group.title, icon("chevron")));
  }

  /** Show the filters of an address; counts are asked for anew where a group is open. */
  update(route) {
    this.route = route;
    const active = chosen(route.params);
    keepFocus(this.bar, () => fill(this.bar, active.map((one) => this.#activeChip(one)), this.buttons, this.others,
      active.length > 1 && h("button.link", { type: "button", onclick: () => this.#set(new URLSearchParams()) }, "Clear all")));
    if (this.open) this.#count();
  }

  #activeChip({ label, params }) {
    return h("button.chip.active", {
      type: "button", "aria-label": `Remove filter ${plain(label, 60)}`, onclick: () => this.#set(without(filtersOf(this.route.params), params)),
    }, foreign(plain(label, 60)), icon("close"));
  }

  #toggle(group) {
    this.open = this.open === group ? null : group;
    this.buttons.forEach((one, index) => one.setAttribute("aria-expanded", String(GROUPS[index] === this.open)));
    fill(this.panel);
    if (this.open) this.#count();
  }

  async #count() {
    const [group, { params }] = [this.open, this.route];
    try {
      const q = this.route.name === "search" && params.get("by") !== "sound" ? params.get("q") : null;
      const counts = await this.api.get("facets", { q, ...filterValues(params) }, { signal: this.latest.next() });
      if (group === this.open) keepFocus(this.panel, () => fill(this.panel, this.#chips(group, counts)));
    } catch (error) {
      if (!isAbort(error)) fill(this.panel, problem(error, () => this.#count()));
    }
  }

  #chips(group, counts) {
    const set = new Set(filtersOf(this.route.params).toString().split("&"));
    const values = counts[group.facet];
    if (group.ordered) values.sort((one, other) => one.value - other.value);
    const chips = values.map(({ value, count }) => {
      const [label, params] = group.chip(value);
      const pressed = new URLSearchParams(params).toString().split("&").every((one) => set.has(one));
      const toggle = () => this.#set(pressed
        ? without(filtersOf(this.route.params), params)
        : withParams(filtersOf(this.route.params), params));
      return h("button.chip", { type: "button", "aria-pressed": String(pressed), "data-keep": value, onclick: toggle },
        foreign(plain(label, 40)), h("span.count", {}, ` ${count}`));
    });
    return [
      h("div.chips", { role: "group", "aria-label": group.title }, chips.length ? chips : h("p.soft", {}, `No track has a known ${group.title.toLowerCase()} here.`)),
      note(counts.note),
    ];
  }

  #set(filters) {
    const params = new URLSearchParams([...this.route.params].filter(([name]) => !NAMES.includes(name)));
    for (const [name, value] of filters) params.append(name, value);
    this.router.go(address(this.route.name, params, this.route.id));
  }
}

/** The filters that are set, each as a label and the parameters that it stands for. */
function chosen(params) {
  const found = [];
  for (const name of ["genre", "tag", "musical_key", "artist", "album"]) {
    for (const value of params.getAll(name)) found.push({ label: value, params: { [name]: value } });
  }
  for (const [name, unit] of [["year", ""], ["tempo", " BPM"], ["duration", " s"]]) {
    const [from, to] = ["from", "to"].map((end) => params.get(`${name}_${end}`) ?? undefined);
    if (from === undefined && to === undefined) continue;
    found.push({ label: span(from, to) + unit, params: { [`${name}_from`]: from, [`${name}_to`]: to } });
  }
  if (params.has("added_since")) found.push({ label: "added lately", params: { added_since: params.get("added_since") } });
  return found;
}

/** A range in words, its ends as whole numbers. */
function span(from, to) {
  const [low, high] = [from, to].map((end) => Math.round(Number(end)));
  if (from === undefined) return `up to ${high}`;
  return to === undefined ? `from ${low}` : `${low}–${high}`;
}

function without(filters, params) {
  for (const [name, value] of Object.entries(params)) if (value !== undefined) filters.delete(name, String(value));
  return filters;
}

/** With other parameters: a range takes the place of one, a name is added to the others. */
function withParams(filters, params) {
  for (const [name, value] of Object.entries(params)) {
    if (/_(from|to)$/.test(name)) filters.set(name, value);
    else filters.append(name, value);
  }
  return filters;
}
