// What sounds like the seeds: likes, dislikes and words, steered at once.

import { button, fill, h, icon, keepFocus } from "./dom.js";
import { Filters, filterValues } from "./filters.js";
import { Latest, load, note } from "./loading.js";
import { reasonsOf } from "./reasons.js";
import { address } from "./router.js";
import { listTools } from "./search.js";
import { listHead, TrackList } from "./track_list.js";
import { counted, plain } from "./text.js";

const COUNTS = [10, 20, 50];

export function open(main, app, signal) {
  const latest = new Latest(signal);
  const list = new TrackList({ ...app, label: "Similar tracks" });
  const options = h("div.options", { id: "options", hidden: true });
  const opener = h("button.chip", {
    type: "button", "aria-expanded": "false", "aria-controls": "options",
    onclick: () => {
      options.hidden = !options.hidden;
      opener.setAttribute("aria-expanded", String(!options.hidden));
    },
  }, "Ranking", icon("chevron"));
  const filters = new Filters({ ...app, signal, others: [opener] });
  const results = h("section", { "aria-label": "Answers" });
  fill(main, h("h1", {}, "Sounds like this"), filters.element, options, results);
  app.player.addEventListener("state", () => list.markPlaying(), { signal });

  function update(route) {
    const { params } = route;
    filters.update(route);
    keepFocus(options, () => fill(options, choices(params)));
    if (app.seeds.empty || !app.seeds.like.length) {
      latest.next();
      return fill(results, beginning(app));
    }
    return load(results, (one) => app.api.get("similar", {
      ...app.seeds.values, n: params.get("n") ?? 20, why: true,
      strategy: params.get("strategy"), diversity: params.get("diversity"), per_artist: params.get("per_artist"),
      ...filterValues(params),
    }, { signal: one }), draw, latest.next());
  }

  function draw(answer) {
    list.show(asNeighbours(answer.neighbours));
    const { length } = answer.neighbours;
    return [
      listHead(counted(length, "track"), ...(length ? listTools(app, list, `like ${answer.seed}`) : [])),
      note(answer.note),
      length ? list.element : h("p.empty", {}, "Take a filter or a seed away to see more."),
    ];
  }

  function choices(params) {
    const set = (name, value) => () => {
      const next = new URLSearchParams(app.router.route.params);
      if (value === null) next.delete(name);
      else next.set(name, value);
      app.router.go(address("similar", next));
    };
    const chip = (label, name, value, on) => h("button.chip", {
      type: "button", "aria-pressed": String(on), "data-keep": name, onclick: set(name, on ? null : value),
    }, label);
    const n = Number(params.get("n") ?? 20);
    return [
      h("div.chips", { role: "group", "aria-label": "How many" }, COUNTS.map((count) => h("button.chip", {
        type: "button", "aria-pressed": String(n === count), "data-keep": count, onclick: set("n", count),
      }, `${count} tracks`))),
      h("div.chips", { role: "group", "aria-label": "Ranking" },
        chip("One an artist", "per_artist", 1, params.get("per_artist") === "1"),
        chip("More varied", "diversity", 0.5, params.has("diversity")),
        app.seeds.like.length > 1 && chip("Near to any seed", "strategy", "best_score", params.get("strategy") === "best_score")),
    ];
  }

  return { update };
}

/** Neighbours of an answer as rows. */
export function asNeighbours(neighbours) {
  return neighbours.map(({ track, score, why, duplicates }) => ({ track, score, duplicates, reasons: reasonsOf(why) }));
}

function beginning(app) {
  const words = [...app.seeds.more, ...app.seeds.less].map((word) => plain(word, 30));
  return h("div.empty", {}, h("h2", {}, "Like what?"),
    h("p", {}, "Nothing is liked yet: press + on a track, here or in the search, to begin with it."),
    button("Search the library", () => app.router.go("#/"), { kind: "primary", symbol: "search" }),
    words.length > 0 && button(`Search by sound: ${words.join(", ")}`, () => app.router.go(
      address("search", new URLSearchParams({ q: words.join(" "), by: "sound" }))), { symbol: "sound" }));
}
