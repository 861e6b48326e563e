// Lists of tracks: rows with what can be done with each, moved through with the arrow keys.

import { fill, foreign, h, icon, iconButton } from "./dom.js";
import { url } from "./api.js";
import { openMenu } from "./menu.js";
import { address } from "./router.js";
import { clock, counted, nameOf, percent, plain, titleOf } from "./text.js";

const AHEAD = "200px";

/**
 * Rows are {track, score, reasons, duplicates, aside}: `reasons` are chips, `aside` an element in
 * the place of the score. `basis`: tracks that the list is like.
 */
export class TrackList {
  constructor({ actions, player, label, basis = [] }) {
    Object.assign(this, { actions, player, basis, rows: [] });
    this.seen = new IntersectionObserver(showSeen, { rootMargin: AHEAD });
    this.element = h("div.tracks", {
      role: "grid", "aria-label": label,
      onkeydown: (event) => this.#key(event),
      onfocusin: (event) => this.#activate(event.target.closest("[role=row]")),
      ondblclick: (event) => this.#playRow(event.target.closest("[data-index]")),
    });
  }

  get tracks() {
    return this.rows.map((row) => row.track);
  }

  /** Show these rows in place of those before, or after them. */
  show(rows, { after = false } = {}) {
    const first = after ? this.rows.length : 0;
    if (!after) this.seen.disconnect();
    this.rows = after ? [...this.rows, ...rows] : rows;
    const elements = rows.flatMap((row, index) => this.#row(row, first + index));
    if (after) this.element.append(...elements);
    else fill(this.element, elements);
    if (!this.element.querySelector('[role=row][tabindex="0"]')) this.#activate(this.element.querySelector("[role=row]"));
    this.markPlaying();
  }

  /** Mark the row that plays. */
  markPlaying() {
    const id = this.player.track?.id;
    for (const row of this.element.children) {
      const here = row.dataset.id === String(id);
      row.classList.toggle("current", here);
      row.classList.toggle("playing", here && this.player.playing);
      if (here) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  focus() {
    (this.element.querySelector('[role=row][tabindex="0"]') ?? this.element.querySelector("[role=row]"))?.focus();
  }

  #row(row, index) {
    const { track } = row;
    const name = plain(nameOf(track), 80);
    const element = h("div.row", {
      role: "row", tabindex: -1, "data-id": track.id, "data-index": index,
      "aria-label": [name, row.score === undefined || row.score === null ? null : `score ${percent(row.score)}`].filter(Boolean).join(", "),
    },
    h("div.cover", { role: "gridcell" }, this.#cover(track, name, () => this.#play(index, track))),
    h("div.name", { role: "gridcell" },
      h("a.title", { href: address("track", undefined, track.id), tabindex: -1 }, foreign(titleOf(track).slice(0, 300))),
      h("span.by", {}, byline(track))),
    h("div.reasons", { role: "gridcell" }, row.reasons ?? []),
    h("div.facts", { role: "gridcell" }, factsOf(track)),
    h("div.time", { role: "gridcell" }, clock(track.duration_s)),
    h("div.score", { role: "gridcell" }, row.aside ?? scoreOf(row.score)),
    h("div.do", { role: "gridcell" },
      iconButton("more", `More like ${name}`, () => this.actions.steer(track, "like", this.basis), { tabindex: -1 }),
      iconButton("less", `Less like ${name}`, () => this.actions.steer(track, "dislike", this.basis), { tabindex: -1 }),
      iconButton("dots", `More actions for ${name}`, (event) => openMenu(event.currentTarget, this.actions.menuOf(track, this.basis), name), { tabindex: -1, "aria-haspopup": "menu" })));
    element.track = track;
    if (!row.duplicates?.length) return [element];
    const { opener, folded } = this.#duplicates(row.duplicates);
    element.querySelector(".name").append(opener);
    return [element, folded];
  }

  /** A picture that is fetched when it is nearly seen; `loading=lazy` would fetch some screens more. */
  #late(image) {
    this.seen.observe(image);
    return image;
  }

  #cover(track, name, play) {
    return h("button.play", { type: "button", "aria-label": `Play ${name}`, tabindex: -1, onclick: play },
      this.#late(h("img", { "data-src": url(`tracks/${track.id}/cover`), alt: "", decoding: "async", width: 52, height: 52 })),
      h("span.over", {}, icon("play"), h("span.bars", {}, h("i"), h("i"), h("i"))));
  }

  /** Other versions of a track, folded until they are asked for. */
  #duplicates(duplicates) {
    const folded = h("div.row.versions", { role: "row", tabindex: -1, hidden: true }, h("div", { role: "gridcell" },
      h("ul", {}, duplicates.map((one) => h("li", {},
        iconButton("play", `Play ${plain(nameOf(one), 80)}`, () => this.#playOne(one.id)),
        h("a", { href: address("track", undefined, one.id) }, foreign(plain(nameOf(one), 200))),
        h("span.soft", {}, `cosine ${one.cosine.toFixed(3)}`))))));
    const opener = h("button.link.fold", {
      type: "button", "aria-expanded": "false", tabindex: -1,
      onclick: () => {
        folded.hidden = !folded.hidden;
        opener.setAttribute("aria-expanded", String(!folded.hidden));
      },
    }, `${duplicates.length} other version${duplicates.length === 1 ? "" : "s"}`);
    return { opener, folded };
  }

  async #playOne(id) {
    try {
      this.actions.play([await this.actions.api.get(`tracks/${id}`)]);
    } catch (error) {
      this.actions.notices.fail(error);
    }
  }

  #play(index, track) {
    if (this.player.track?.id === track.id) this.player.toggle();
    else this.actions.play(this.tracks, index);
  }

  #playRow(row) {
    if (row && !getSelection().toString()) this.#play(Number(row.dataset.index), this.rows[row.dataset.index].track);
  }

  /** One row is in the order of Tab, with its buttons; the arrow keys lead to the others. */
  #activate(row) {
    if (!row || row === this.active) return;
    const tab = (one, index) => {
      one?.setAttribute("tabindex", index);
      one?.querySelectorAll("a, button").forEach((control) => control.setAttribute("tabindex", index));
    };
    if (this.active?.isConnected) tab(this.active, -1);
    tab(row, 0);
    this.active = row;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = event.target.closest("[role=row]");
    const onRow = event.target === row;
    const rows = [...this.element.querySelectorAll("[role=row]:not([hidden])")];
    const at = rows.indexOf(row);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (to !== undefined) rows[Math.max(0, Math.min(rows.length - 1, to))].focus();
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") this.#sideways(row, event.key === "ArrowRight" ? 1 : -1);
    else if (event.key === "Enter" && onRow) this.#playRow(row);
    else return;
    event.preventDefault();
  }

  #sideways(row, by) {
    const stops = [row, ...row.querySelectorAll("a, button")];
    stops[Math.max(0, Math.min(stops.length - 1, stops.indexOf(document.activeElement) + by))].focus();
  }
}

function showSeen(entries, observer) {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    target.src = target.dataset.src;
    observer.unobserve(target);
  }
}

/** What stands under a title: artist and album. */
function byline(track) {
  const parts = [track.artist, track.album].filter(Boolean).map((text) => foreign(text.slice(0, 300)));
  return parts.length === 2 ? [parts[0], h("span.sep", {}, " – "), parts[1]] : parts;
}

function factsOf(track) {
  return [track.genre, track.year].filter(Boolean).map((fact) => h("span", { dir: "auto" }, String(fact).slice(0, 60)));
}

/** A score as a number and a bar. */
export function scoreOf(score) {
  if (score === undefined || score === null) return null;
  return h("span.meter", { title: `Closer than ${percent(score)} of random pairs of this library`, css: { "--share": score } },
    percent(score));
}

/** The tracks of a list as rows without anything else. */
export const asRows = (tracks) => tracks.map((track) => ({ track }));

/** A line above a list: how many tracks, and what can be done with all of them. */
export function listHead(text, ...tools) {
  return h("div.list-head", {}, h("p.total", { role: "status" }, text), h("div.tools", {}, tools));
}

/** "48 tracks, 23 min". */
export function summary(tracks) {
  const seconds = tracks.reduce((sum, track) => sum + track.duration_s, 0);
  return `${counted(tracks.length, "track")}, ${clock(seconds)}`;
}
