// What plays, what comes, and what has played.

import { button, fill, foreign, h, icon, iconButton, keepFocus } from "./dom.js";
import { url } from "./api.js";
import { playlistUrl } from "./actions.js";
import { address } from "./router.js";
import { clock, counted, nameOf, plain, titleOf } from "./text.js";

const SHOWN_PLAYED = 10;

export function open(main, app, signal) {
  const { queue, player, station } = app;
  const head = h("div.list-head");
  const lists = h("div");
  fill(main, h("h1", {}, "Queue"), head, lists);

  function update() {
    const { current, upcoming } = queue;
    if (!current) {
      fill(head);
      fill(lists, h("div.empty", {}, h("h2", {}, "Nothing is queued"),
        h("p.soft", {}, "Play a list, or add tracks to the queue from their menus."),
        button("Search the library", () => app.router.go("#/"), { kind: "primary", symbol: "search" })));
      return;
    }
    const tracks = [current, ...upcoming].map((item) => item.track);
    fill(head, h("p.total", { role: "status" }, `${counted(upcoming.length, "track")} to come`), h("div.tools", {},
      station.on
        ? button("End the station", () => station.stop(), { symbol: "station" })
        : button("Endless station", () => app.actions.startStation(current.track), { symbol: "station" }),
      button("Add 10 similar", () => app.actions.addSimilar(current.track), { symbol: "plus" }),
      h("a.quiet", { href: playlistUrl(tracks, "Queue"), download: "" }, icon("download"), "M3U8"),
      upcoming.length > 0 && button("Clear", () => { if (station.on) station.stop(); queue.clearUpcoming(); })));
    const byHand = upcoming.filter((item) => !item.station);
    const byStation = upcoming.filter((item) => item.station);
    keepFocus(lists, () => fill(lists,
      section("Now", [current]), section("Next", byHand),
      station.on && section(`Station from ${plain(nameOf(station.seed), 60)}`, byStation, station.ended ?? "More is chosen as it plays."),
      !station.on && section("From a station", byStation),
      section("Played", queue.items.slice(0, queue.at).filter((item) => item.begun).reverse().slice(0, SHOWN_PLAYED))));
  }

  function section(title, items, about = null) {
    if (!items.length && !about) return null;
    return h("section.queued", {}, h("h2", {}, foreign(title)), about && h("p.soft", {}, about),
      h("ul", {}, items.map((item) => entry(item))));
  }

  function entry(item) {
    const { track } = item;
    const [index, name] = [queue.items.indexOf(item), plain(nameOf(track), 80)];
    const move = (symbol, label, by) => iconButton(symbol, `${label} ${name}`, () => queue.move(item, by), { "data-keep": `${label}-${track.id}` });
    return h("li", { "aria-current": index === queue.at ? "true" : null },
      h("button.play", { type: "button", "aria-label": `Play ${name}`, onclick: () => (index === queue.at ? player.toggle() : queue.jump(item)) },
        h("img", { src: url(`tracks/${track.id}/cover`), alt: "", width: 44, height: 44, loading: "lazy" }), h("span.over", {}, icon("play"))),
      h("div.name", {}, h("a.title", { href: address("track", undefined, track.id) }, foreign(plain(titleOf(track), 200))), h("span.by", {}, foreign(plain(track.artist ?? "", 200)))),
      h("span.time", {}, clock(track.duration_s)),
      index > queue.at && h("span.do", {}, move("up", "Earlier:", -1), move("down", "Later:", 1), iconButton("close", `Remove ${name}`, () => queue.remove(item))));
  }

  queue.addEventListener("change", update, { signal });
  queue.addEventListener("current", update, { signal });
  station.addEventListener("change", update, { signal });
  return { update };
}
