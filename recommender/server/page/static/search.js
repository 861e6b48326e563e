// The start page and the search as one types: by names, or by words for the sound.

import { button, fill, foreign, h, icon } from "./dom.js";
import { url } from "./api.js";
import { Filters, filterValues, hasFilters } from "./filters.js";
import { Latest, load, note } from "./loading.js";
import { playlistUrl } from "./actions.js";
import { matchesOf } from "./reasons.js";
import { address } from "./router.js";
import { asRows, listHead, TrackList } from "./track_list.js";
import { counted, duration, nameOf, plain, titleOf } from "./text.js";
import { fileButton } from "./upload_target.js";

const PAGE = 32;
const SHELF = 8;
const FOUND_BY_SOUND = 30;
/** Letters that the server takes. */
const LONGEST = 500;

export function open(main, app, signal) {
  const latest = new Latest(signal);
  const filters = new Filters({ ...app, signal });
  const hero = h("div.hero-place");
  const results = h("section", { "aria-label": "Results" });
  const list = new TrackList({ ...app, label: "Tracks" });
  fill(main, h("h1.unseen", {}, "Search"), hero, filters.element, results);
  app.player.addEventListener("state", () => list.markPlaying(), { signal });
  app.events.addEventListener("catalog", () => update(app.router.route), { signal });

  function update(route) {
    const { params } = route;
    const text = params.get("q") ?? "";
    const start = !text && !hasFilters(params);
    filters.update(route);
    filters.element.hidden = params.get("by") === "sound" && !text;
    if (!start) fill(hero);
    if (params.get("by") === "sound") {
      if (text) return load(results, (one) => bySound(params, one), drawHits, latest.next());
      latest.next();
      return fill(results, invitation());
    }
    return load(results, (one) => byName(params, null, one), (answer) => {
      if (start) fill(hero, answer.total ? welcome(app, answer) : null);
      return answer.total ? drawTracks(answer, params) : nothing(answer, params);
    }, latest.next());
  }

  async function byName(params, cursor, one) {
    try {
      const q = params.get("q")?.slice(0, LONGEST);
      return await app.api.get("tracks", { q, limit: PAGE, cursor, ...filterValues(params) }, { signal: one });
    } catch (error) {
      // A library without any track has nothing to ask: that is no error to people.
      if (error.status !== 422 || (await app.api.get("status", {}, { signal: one })).present) throw error;
      return { tracks: [], total: 0, next: null, note: null, empty: true };
    }
  }

  const bySound = (params, one) => app.api.get("words", {
    q: params.get("q").slice(0, LONGEST), n: FOUND_BY_SOUND, ...filterValues(params),
  }, { signal: one });

  function drawTracks(answer, params) {
    list.show(asRows(answer.tracks));
    const foot = h("div.foot");
    const more = (cursor) => button("Show more", async (event) => {
      event.currentTarget.disabled = true;
      try {
        const next = await byName(params, cursor, signal);
        list.show(asRows(next.tracks), { after: true });
        setFoot(next.next);
      } catch (error) {
        app.notices.fail(error);
        setFoot(cursor);
      }
    });
    const setFoot = (cursor) => fill(foot, cursor && more(cursor));
    setFoot(answer.next);
    return [listHead(counted(answer.total, "track"), ...listTools(app, list, "Tracks")), note(answer.note), list.element, foot];
  }

  function nothing(answer, params) {
    if (answer.empty) return emptyLibrary();
    const text = params.get("q");
    return h("div.empty", {}, h("h2", {}, "No track found"), note(answer.note),
      text && button("Search by sound instead", () => app.router.go(address("search", bySoundParams(text))), { symbol: "sound" }));
  }

  function drawHits(answer) {
    const rows = answer.hits.map((hit) => ({ track: hit.track, score: hit.score, reasons: matchesOf(hit.matches) }));
    list.show(rows);
    return [
      listHead(`${counted(rows.length, "track")} by sound`, ...(rows.length ? listTools(app, list, answer.text) : [])),
      unknownWords(answer.unknown), note(answer.note), list.element,
    ];
  }

  return { update };
}

/** Tools of a list: play all of it, save it as a playlist file. */
export function listTools(app, list, title) {
  const save = h("a.quiet", { href: playlistUrl(list.tracks, title), download: "" }, icon("download"), "M3U8");
  // Rows are added to a list after it was drawn: the file holds what is shown now.
  save.addEventListener("click", () => { save.href = playlistUrl(list.tracks, title); });
  return [button("Play all", () => app.actions.play(list.tracks), { symbol: "play" }), save];
}

function welcome(app, { tracks, total }) {
  const about = h("p.lead", { "aria-live": "off" }, `${counted(total, "track")} to begin with. Play one, ask for more like it, or drop a file anywhere.`);
  app.api.get("status").then((status) => {
    about.textContent = `${counted(status.present, "track")}, ${duration(status.duration_s)} of music. `
      + "Play one, ask for more like it, or drop a file anywhere.";
  }).catch(() => { /* the count alone will do */ });
  return h("div.hero", {},
    h("div", {}, h("p.headline", {}, "What sounds like this?"), about,
      h("div.buttons", {}, fileButton("Ask about a file", app.ask, app.notices),
        h("a.quiet", { href: "#/map" }, icon("map"), "Open the map"))),
    shelf(app, spread(tracks, SHELF)));
}

/** Some covers to begin with, far apart in the list. */
function shelf(app, tracks) {
  return h("ul.shelf", { "aria-label": "Begin with" }, tracks.map((track, index) => h("li", {},
    h("button.card", { type: "button", "aria-label": `Play ${plain(nameOf(track), 80)}`, onclick: () => app.actions.play(tracks, index) },
      h("img", { src: url(`tracks/${track.id}/cover`), alt: "", width: 148, height: 148, decoding: "async" }),
      h("span.over", {}, icon("play"))),
    h("a", { href: address("track", undefined, track.id) }, foreign(plain(titleOf(track), 60))),
    h("span.soft", {}, foreign(plain(track.artist ?? "", 60))))));
}

function spread(tracks, count) {
  const chosen = Math.min(count, tracks.length);
  return Array.from({ length: chosen }, (_, index) => tracks[Math.floor(((index + 0.5) * tracks.length) / chosen)]);
}

function unknownWords(unknown) {
  return unknown.map(({ text, nearest }) => note(
    `"${plain(text, 40)}" is not known${nearest.length ? `; near it: ${nearest.join(", ")}` : ""}`));
}

function bySoundParams(text) {
  return new URLSearchParams({ q: text, by: "sound" });
}

function invitation() {
  const tries = ["calm piano", "fast and loud", "dark electronic", "acoustic guitar", "sad strings"];
  return h("div.empty", {}, h("h2", {}, "Say how it should sound"),
    h("p.soft", {}, "Tags of the model, genres, years and tempo are known, such as:"),
    h("div.chips", {}, tries.map((text) => h("a.chip", { href: address("search", bySoundParams(text)) }, text))));
}

function emptyLibrary() {
  return h("div.empty", {}, h("h2", {}, "The library is empty"),
    h("p", {}, "Index a folder of music, here or at a shell; the tracks appear by themselves."),
    h("pre", {}, h("code", {}, "soundalike index ~/Music")),
    h("a.primary", { href: "#/indexing" }, icon("library"), "Index from here"));
}
