// The library: its folders, the index run as it goes on, and what could not be analysed.

import { button, fill, foreign, h, icon } from "./dom.js";
import { Latest, load, note } from "./loading.js";
import { counted, duration, moment, percent, plain } from "./text.js";

const FAILURES = 50;

export function open(main, app, signal) {
  const { api, events, notices } = app;
  const latest = [new Latest(signal), new Latest(signal)];
  const facts = h("section.tiles", { "aria-label": "The library" });
  const run = h("section.run", { "aria-label": "Index run" });
  const failed = h("section", { "aria-labelledby": "failed" });
  fill(main, h("h1", {}, "Library"), facts, h("h2", {}, "Index"), run, h("h2", { id: "failed" }, "Files that could not be analysed"), failed);
  let status = null;
  let drawn = null;

  function update() {
    load(facts, (one) => api.get("status", {}, { signal: one }), (answer) => {
      status = answer;
      api.get("indexing", {}, { signal }).then(draw).catch((error) => notices.fail(error, update));
      return tiles(answer);
    }, latest[0].next());
    showFailures();
  }

  function showFailures() {
    load(failed, (one) => api.get("failures", { limit: FAILURES }, { signal: one }), failureList, latest[1].next());
  }

  function draw(state) {
    const over = drawn?.run && !state.run;
    if (state.run && drawn?.run?.id === state.run.id && drawn.state === state.state) drawn.show(state.run);
    else fill(run, state.run ? running(state) : idle(state));
    drawn = { ...drawn, ...state };
    if (over) update();
  }

  function running(state) {
    const bar = h("progress", { "aria-label": "Index run" });
    const said = h("p", { role: "status" });
    const show = ({ done, total, failed: bad, scanned, seconds, eta_s: left }) => {
      if (total) Object.assign(bar, { max: total, value: done });
      else bar.removeAttribute("value");
      said.textContent = total
        ? `${percent(done / total)}: ${done} of ${counted(total, "file")}${bad ? `, ${bad} failed` : ""}, ${duration(seconds)}${left === null ? "" : `, about ${duration(left)} left`}`
        : `Looking through the folders: ${counted(scanned, "file")} so far`;
    };
    drawn = { show };
    show(state.run);
    const stopping = state.state === "stopping";
    return [h("p.soft", {}, foreign(state.run.folders.map((name) => plain(name, 60)).join(", "))), bar,
      h("div.line", {}, said, button(stopping ? "Stopping…" : "Stop", () => ask(api.delete("indexing")), { disabled: stopping }))];
  }

  function idle(state) {
    const start = (folders, retry) => () => ask(api.post("indexing", { folders, retry_failed: retry }));
    const may = status.can_index && state.folders.length > 0;
    return [
      last(state),
      may && h("ul.folders", {}, state.folders.map(({ number, name }) => h("li", {}, icon("folder"), foreign(plain(name, 80)),
        button("Index", start([number], false), { "aria-label": `Index ${plain(name, 60)}` })))),
      may
        ? h("div.buttons", {}, button("Index all", start([], false), { kind: "primary", symbol: "refresh" }),
          status.failures > 0 && button("Try failed files again", start([], true)))
        : howTo(status),
      note(state.note),
      h("p.soft", {}, state.watching ? "New files are found by themselves." : null),
    ];
  }

  async function ask(request) {
    try {
      draw(await request);
    } catch (error) {
      notices.fail(error);
    }
  }

  events.addEventListener("indexing", ({ detail }) => status && draw(detail), { signal });
  events.addEventListener("catalog", () => { if (!drawn?.run) update(); }, { signal });
  return { update };
}

function tiles(status) {
  const tile = (value, name) => h("div.tile", {}, h("strong", {}, value), h("span", {}, name));
  const { present, missing } = status;
  return [
    tile(present.toLocaleString("en"), present === 1 ? "track" : "tracks"),
    tile(duration(status.duration_s), "of music"),
    tile(status.failures.toLocaleString("en"), status.failures === 1 ? "file failed" : "files failed"),
    missing > 0 && tile(missing.toLocaleString("en"), "missing"),
    tile(status.model ?? "none", "model"),
  ];
}

function last({ last: run }) {
  if (!run) return h("p.soft", {}, "No run yet.");
  const counts = Object.entries(run.counts ?? {}).filter(([, count]) => count).map(([name, count]) => `${count} ${name}`);
  const said = { done: "Last run done", stopped: "Last run stopped", failed: "Last run failed" }[run.outcome] ?? "Last run";
  return [
    h("p", {}, `${said} on ${moment(run.ended_at)}, ${duration(run.seconds)}: ${counts.join(", ") || "nothing changed"}.`),
    note(run.message),
  ];
}

function howTo(status) {
  return h("div", {}, h("p", {}, status.can_index
    ? "No folder is set: start the server with one, or index at a shell."
    : "This server does not index: do it at a shell; the tracks appear here by themselves."),
  h("pre", {}, h("code", {}, "soundalike index ~/Music")));
}

function failureList({ failures, total, note: why }) {
  if (!total) return h("p.soft", {}, "None.");
  return [note(why ?? (failures.length < total ? `the first ${failures.length} of ${total}` : null)),
    h("ul.failures", {}, failures.map(({ path, reason, message, tries, failed_at: at }) => h("li", {},
      h("code", { dir: "auto" }, plain(path, 300)), h("p", { dir: "auto" }, plain(message, 500)),
      h("span.soft", {}, `${plain(reason, 40)}, ${tries === 1 ? "tried once" : `tried ${tries} times`}, ${moment(at)}`))))];
}
