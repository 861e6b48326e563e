// The frame of the map: what its colours mean, what the search lights up, what is under the pointer.

import { fill, foreign, h } from "./dom.js";
import { Latest, note, problem } from "./loading.js";
import { isAbort } from "./api.js";
import { counted, nameOf, plain } from "./text.js";

const PAGE = 200;
const LIT = 2000;
const LONGEST = 500;
const BY_SOUND = 40;
const NEIGHBOURS = 8;
const RETRY_MS = 2000;

export function open(main, app, signal) {
  const [search, near] = [new Latest(signal), new Latest(signal)];
  const canvas = h("div.canvas");
  const legend = h("ul.legend", { "aria-label": "Groups" });
  const said = h("p.map-said", { role: "status" });
  fill(main, h("h1.unseen", {}, "Map of the library"), h("div.map", {}, canvas, h("div.map-side", {}, said, legend)));
  let [view, lit] = [null, []];

  async function start() {
    try {
      const groups = await app.api.get("map/groups", {}, { signal });
      if (groups.state === "computing") {
        fill(said, "The map is being computed…");
        setTimeout(() => signal.aborted || start(), RETRY_MS);
        return;
      }
      drawLegend(groups);
      const { openMap } = await import("./map_view.js");
      if (signal.aborted) return;
      view = await openMap(canvas, { api: app.api, onPlay: play });
      if (signal.aborted) return view.destroy();
      // What was searched for and what began to play while it opened counts as well.
      view.highlight(lit);
      drawPlaying();
    } catch (error) {
      if (!isAbort(error)) fill(canvas, problem(error, start));
    }
  }

  async function play(id) {
    try {
      app.actions.play([await app.api.get(`tracks/${id}`)]);
    } catch (error) {
      app.notices.fail(error);
    }
  }

  /** The playing track and the ids of its nearest ones. */
  async function around() {
    const { track } = app.player;
    if (!track) return { ids: null, near: [] };
    const { neighbours } = await app.api.get("similar", { like: track.id, n: NEIGHBOURS }, { signal: near.next() });
    return { ids: track.id, near: neighbours.map((one) => one.id) };
  }

  async function drawPlaying() {
    try {
      const { ids, near: of } = await around();
      view?.setPlaying(ids, of);
    } catch (error) {
      app.notices.fail(error);
    }
  }

  function showPlaying() {
    const { track } = app.player;
    if (track && !lit.length) fill(said, foreign(plain(nameOf(track), 80)));
    drawPlaying();
  }

  /** Ids of what a text finds, page after page, up to a bound; null without a text. */
  async function found(q, by, one) {
    if (!q) return null;
    if (by === "sound") {
      const { hits, note: why } = await app.api.get("words", { q: q.slice(0, LONGEST), n: BY_SOUND }, { signal: one });
      return { ids: hits.map((hit) => hit.id), total: hits.length, note: why };
    }
    const ids = [];
    let answer = { next: null };
    do {
      answer = await app.api.get("tracks", { q: q.slice(0, LONGEST), limit: PAGE, cursor: answer.next }, { signal: one });
      ids.push(...answer.tracks.map((track) => track.id));
    } while (answer.next && ids.length < LIT);
    return { ids, total: answer.total, note: answer.note };
  }

  async function update({ params }) {
    const q = params.get("q");
    try {
      const answer = await found(q, params.get("by"), search.next());
      lit = answer?.ids ?? [];
      view?.highlight(lit);
      fill(said, answer ? `${counted(answer.total, "track")} lit up` : "Click a track to play it; type to light tracks up.", note(answer?.note));
    } catch (error) {
      app.notices.fail(error, () => update({ params }));
    }
  }

  function drawLegend({ groups }) {
    fill(legend, groups.map(({ name, tracks, color }) => h("li", {},
      h("i", { css: { "--swatch": color }, "aria-hidden": "true" }), foreign(plain(name, 40)), h("span.soft", {}, String(tracks)))));
  }

  app.queue.addEventListener("current", showPlaying, { signal });
  signal.addEventListener("abort", () => view?.destroy());
  start();
  return { update };
}
