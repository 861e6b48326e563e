// A file of the listener's: sent, analysed, answered; added to the library when wanted.

import { button, fill, foreign, h, icon } from "./dom.js";
import { Latest, note, problem } from "./loading.js";
import { isAbort } from "./api.js";
import { address } from "./router.js";
import { listTools } from "./search.js";
import { asNeighbours } from "./similar.js";
import { listHead, TrackList } from "./track_list.js";
import { clock, counted, nameOf, percent, plain } from "./text.js";
import { fileButton } from "./upload_target.js";

const FOUND = 20;

export function open(main, app, signal) {
  const latest = new Latest(signal);
  const place = h("section", { "aria-label": "A file" });
  fill(main, h("h1", {}, "What sounds like this file?"), place);
  const list = new TrackList({ ...app, label: "Similar tracks" });
  app.player.addEventListener("state", () => list.markPlaying(), { signal });
  let asked = null;

  function update() {
    const { file } = app.uploads;
    if (!file) {
      fill(place, h("div.empty.drop", {}, icon("upload"), h("h2", {}, "Drop a file here, or anywhere on the page"),
        h("p.soft", {}, "Any format with sound in it. It is analysed and forgotten, unless you add it."), fileButton("Choose a file", app.ask, app.notices)));
    } else if (file !== asked) {
      asked = file;
      askAbout(file);
    }
  }

  async function askAbout(file) {
    const one = latest.next();
    const bar = progress(file.name, () => { app.uploads.file = null; latest.next(); update(); });
    fill(place, bar.element);
    try {
      const answer = await app.api.upload("similar", { name: file.name, n: FOUND, why: true }, file, { onProgress: bar.show, signal: one });
      if (!one.aborted) fill(place, draw(file, answer));
    } catch (error) {
      if (isAbort(error)) return;
      fill(place, problem(error, () => askAbout(file)), h("p", {}, fileButton("Choose another file", app.ask, app.notices, "quiet")));
    }
  }

  function draw(file, answer) {
    list.show(asNeighbours(answer.neighbours));
    return [
      about(file, answer.upload),
      listHead(`${counted(list.tracks.length, "track")} that sound like it`, ...(list.tracks.length ? listTools(app, list, `like ${file.name}`) : [])),
      note(answer.note), list.element,
    ];
  }

  function about(file, upload) {
    const add = h("div.buttons", {}, upload.known_id === null
      ? button("Add to the library", () => addToLibrary(file, add), { kind: "primary", symbol: "plus" })
      : h("a.quiet", { href: address("track", undefined, upload.known_id) }, icon("check"), "It is in the library"),
    fileButton("Another file", app.ask, app.notices, "quiet"));
    const { title, artist } = upload;
    return h("article.upload", {}, h("span.disc", {}, icon("note")),
      h("div", {}, h("h2", { dir: "auto" }, plain(nameOf({ title, artist, key: upload.name }), 200)),
        h("p.soft", {}, [plain(upload.name, 80), clock(upload.duration_s), upload.codec].filter(Boolean).join(" · ")),
        h("div.chips", { "aria-label": "Tags", role: "group" }, Object.entries(upload.tags).slice(0, 6).map(([tag, share]) =>
          h("span.reason", {}, foreign(tag), ` ${percent(share)}`))), add));
  }

  async function addToLibrary(file, element) {
    const one = latest.next();
    const bar = progress(file.name, null);
    fill(element, bar.element);
    try {
      const answer = await app.api.upload("tracks", { name: file.name }, file, { onProgress: bar.show, signal: one });
      showAdded(answer, element);
      if (answer.state === "queued") await follow(answer.id, element, one);
    } catch (error) {
      if (!isAbort(error)) fill(element, problem(error, () => addToLibrary(file, element)));
    }
  }

  function showAdded(answer, element) {
    const said = { added: "Added to the library", known: "It was in the library" }[answer.state];
    fill(element, answer.track
      ? h("a.quiet", { href: address("track", undefined, answer.track.id) }, icon("check"), said)
      : note(answer.note ?? "it is stored, and appears when the index run gets to it"));
  }

  /** Ask for a file that is queued whenever something goes on in the library, until it is there. */
  async function follow(id, element, one) {
    for (;;) {
      const change = nextChange(app.events, one);
      const answer = await app.api.get(`uploads/${id}`, {}, { signal: one });
      if (answer.state !== "queued") return showAdded(answer, element);
      await change;
    }
  }

  return { update };
}

/** The next time that the server tells of tracks or of an index run, or that nobody waits any more. */
function nextChange(events, signal) {
  return new Promise((resolve) => {
    signal.addEventListener("abort", resolve, { once: true });
    for (const name of ["catalog", "indexing"]) events.addEventListener(name, resolve, { once: true, signal });
  });
}

/** A bar from 0 to 1, then "Analysing…" for as long as the answer takes. */
function progress(name, stop) {
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Sending ${plain(name, 60)}` });
  const said = h("p", { role: "status" }, "Sending…");
  return {
    element: h("div.progress", {}, h("h2", { dir: "auto" }, plain(name, 100)), bar, h("div.line", {}, said, stop && button("Stop", stop))),
    show: (share) => {
      if (share < 1) {
        bar.value = share;
        said.textContent = `Sending… ${percent(share)}`;
      } else {
        bar.removeAttribute("value");
        said.textContent = "Analysing…";
      }
    },
  };
}
