// A path from one track to another, in even steps.

import { fill, foreign, h, iconButton } from "./dom.js";
import { url } from "./api.js";
import { filterValues } from "./filters.js";
import { Latest, load, note } from "./loading.js";
import { picker } from "./picker.js";
import { address } from "./router.js";
import { listTools } from "./search.js";
import { listHead, summary, TrackList } from "./track_list.js";
import { nameOf, plain, titleOf } from "./text.js";

const STEPS = { least: 2, most: 24, usual: 8 };

export function open(main, app, signal) {
  const latest = new Latest(signal);
  const list = new TrackList({ ...app, label: "Path" });
  const ends = h("div.ends");
  const results = h("section", { "aria-label": "Path" });
  const steps = h("input.seek", {
    type: "range", min: STEPS.least, max: STEPS.most, id: "steps", onchange: () => set("steps", steps.value),
    oninput: () => showSteps(steps.value),
  });
  const shown = h("output", { for: "steps" });
  fill(main, h("h1", {}, "A path between two tracks"), ends,
    h("div.steps", {}, h("label", { for: "steps" }, "Steps"), steps, shown), results);
  app.player.addEventListener("state", () => list.markPlaying(), { signal });

  function showSteps(value) {
    shown.textContent = value;
    steps.style.setProperty("--share", (value - STEPS.least) / (STEPS.most - STEPS.least));
  }

  function set(name, value) {
    const params = new URLSearchParams(app.router.route.params);
    if (value === null) params.delete(name);
    else params.set(name, value);
    app.router.go(address("path", params));
  }

  function swap() {
    const params = new URLSearchParams(app.router.route.params);
    const [start, end] = [params.get("start"), params.get("end")];
    for (const [name, value] of [["start", end], ["end", start]]) {
      if (value === null) params.delete(name);
      else params.set(name, value);
    }
    app.router.go(address("path", params));
  }

  function update({ params }) {
    const [start, end] = [params.get("start"), params.get("end")];
    steps.value = params.get("steps") ?? STEPS.usual;
    showSteps(steps.value);
    fill(ends, endOf("start", "From", start), iconButton("swap", "Swap the ends", swap), endOf("end", "To", end));
    if (!start || !end) {
      latest.next();
      fill(results, h("p.empty", {}, start || end ? "Choose the other end." : "Choose two tracks; the way between them is found by sound."));
      return;
    }
    load(results, (one) => app.api.get("path", {
      start, end, steps: steps.value, more: params.getAll("more"), less: params.getAll("less"), ...filterValues(params),
    }, { signal: one }), draw, latest.next());
  }

  function draw(answer) {
    list.show(answer.entries.map((entry) => ({ track: entry, aside: step(entry.cosine_to_previous) })));
    const even = answer.evenness === null ? "" : `, longest step ${answer.evenness.toFixed(2)} times the mean`;
    return [listHead(summary(list.tracks) + even, ...listTools(app, list, answer.title)), note(answer.note), list.element];
  }

  function endOf(name, label, id) {
    if (!id) return picker({ ...app, label, signal, choose: (track) => set(name, track.id) });
    const place = h("div.end", {}, h("span.soft", {}, label), h("strong", {}, "…"));
    app.api.get(`tracks/${encodeURIComponent(id)}`, {}, { signal }).then((track) => fill(place,
      h("img", { src: url(`tracks/${track.id}/cover`), alt: "", width: 48, height: 48 }),
      h("div", {}, h("span.soft", {}, label), h("strong", {}, foreign(plain(titleOf(track), 60))), h("span.soft", {}, foreign(plain(track.artist ?? "", 60)))),
      iconButton("close", `Take away ${plain(nameOf(track), 60)}`, () => set(name, null)),
    )).catch((error) => app.notices.fail(error));
    return place;
  }

  return { update };
}

/** How far an entry is from the one before it. */
function step(cosine) {
  if (cosine === null || cosine === undefined) return h("span.soft", {}, "start");
  return h("span.meter", { title: "Cosine to the track before", css: { "--share": Math.max(0, cosine) } }, cosine.toFixed(2));
}
