// Puts the parts of the page together and shows the view that the address names.

import { Actions } from "./actions.js";
import { Api, isAbort } from "./api.js";
import { fill } from "./dom.js";
import { problem } from "./loading.js";
import { Notices } from "./notices.js";
import { Player } from "./player.js";
import { playerBar } from "./player_bar.js";
import { Queue } from "./queue.js";
import { address, Router } from "./router.js";
import * as search from "./search.js";
import { seedStrip } from "./seed_strip.js";
import { Seeds } from "./seeds.js";
import { ServerEvents } from "./server_events.js";
import { listen, shortcuts } from "./shortcuts.js";
import { Station } from "./station.js";
import { counted } from "./text.js";
import { takeDrops } from "./upload_target.js";

const TYPING_MS = 120;
const VIEWS = {
  search: async () => search,
  similar: () => import("./similar.js"),
  track: () => import("./track.js"),
  path: () => import("./path.js"),
  map: () => import("./map.js"),
  queue: () => import("./queue_view.js"),
  upload: () => import("./upload.js"),
  indexing: () => import("./indexing.js"),
};
/** Views whose address takes the text of the search field. */
const SEARCHED = ["search", "map"];

const $ = (id) => document.getElementById(id);
const main = $("main");

function begin() {
  const notices = new Notices($("notices"));
  const api = new Api({ onUnauthorised: () => askForToken(api) });
  const router = new Router();
  const queue = new Queue();
  const seeds = new Seeds();
  queue.restore();
  const player = new Player({ queue, onProblem: (text) => notices.say(text, { kind: "error" }) });
  const station = new Station({ api, queue, player, notices });
  const actions = new Actions({ api, router, queue, player, station, seeds, notices });
  const events = new ServerEvents();
  const app = { api, router, queue, player, station, seeds, notices, actions, events, uploads: { file: null } };
  app.ask = (file) => askAbout(app, file);
  playerBar($("player"), app);
  seedStrip($("strip"), { seeds, api, steer: () => actions.askSimilar() });
  takeDrops(app.ask, notices);
  followSearchField(router);
  takeShortcuts(app);
  sayCatalogChanges(app);
  showViews(app).then(() => events.start());
  player.prepare();
}

/** Show the view of the address, now and whenever it changes. */
function showViews(app) {
  let shown = { name: null, view: null, controller: null };
  const show = async () => {
    const { route } = app.router;
    const before = shown.name;
    const name = Object.hasOwn(VIEWS, route.name) ? route.name : "search";
    markView(name);
    if (name === "similar") app.seeds.read(route.params);
    try {
      if (name !== shown.name) {
        shown.controller?.abort();
        const controller = new AbortController();
        shown = { name, view: null, controller };
        const module = await VIEWS[name]();
        if (shown.controller !== controller) return;
        main.dataset.view = name;
        fill(main);
        shown.view = module.open(main, app, controller.signal);
        if (!document.activeElement?.closest(".top")) main.focus({ preventScroll: true });
      }
      const { scrolledTo } = app.router;
      if (name !== before || scrolledTo !== null) scrollTo(0, 0);
      await shown.view?.update(app.router.route);
      if (scrolledTo !== null) scrollTo(0, scrolledTo);
    } catch (error) {
      if (isAbort(error)) return;
      console.error(error);
      shown.name = null;
      fill(main, problem(new Error("This part of the page could not be loaded: load the page again."), () => location.reload()));
    }
  };
  app.router.addEventListener("change", show);
  return show();
}

function markView(name) {
  for (const link of document.querySelectorAll(".views a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

/** The search field and the address say the same. */
function followSearchField(router) {
  const [form, field] = [$("search"), $("q")];
  let timer = null;
  const by = () => form.elements.by.value;
  const write = () => {
    clearTimeout(timer);
    const { route } = router;
    const name = SEARCHED.includes(route.name) ? route.name : "search";
    const params = name === route.name ? new URLSearchParams(route.params) : new URLSearchParams();
    for (const [key, value] of [["q", field.value.trim()], ["by", by() === "sound" ? "sound" : ""]]) {
      if (value) params.set(key, value);
      else params.delete(key);
    }
    router.go(address(name, params), { replace: name === route.name });
  };
  const read = () => {
    const { name, params } = router.route;
    if (!SEARCHED.includes(name)) {
      if (document.activeElement !== field) field.value = "";
      return;
    }
    form.elements.by.value = params.get("by") === "sound" ? "sound" : "name";
    field.placeholder = by() === "sound" ? "calm piano, fast and loud …" : "Title, artist or album";
    if (document.activeElement !== field) field.value = params.get("q") ?? "";
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(write, TYPING_MS);
  });
  form.addEventListener("change", (event) => event.target.name === "by" && write());
  form.addEventListener("submit", (event) => { event.preventDefault(); write(); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); focusList(); }
    if (event.key === "Escape" && !field.value) field.blur();
  });
  router.addEventListener("change", read);
  read();
}

function takeShortcuts(app) {
  const help = async () => (await import("./help.js")).show(list);
  const toggleTheme = async () => (await import("./theme_switch.js")).toggle();
  const list = shortcuts({ ...app, search: $("q"), focusList, focusedTrack, help, toggleTheme });
  listen(list);
  $("help").addEventListener("click", help);
  $("theme").addEventListener("click", toggleTheme);
  $("skip").addEventListener("click", () => main.focus());
}

function focusList() {
  main.querySelector('[role=row][tabindex="0"]')?.focus();
}

/** The track of the row that has the focus. */
function focusedTrack() {
  return document.activeElement?.closest("[role=row]")?.track ?? null;
}

async function askAbout(app, file) {
  app.uploads.file = file;
  if (app.router.route.name === "upload") app.router.dispatchEvent(new Event("change"));
  else app.router.go(address("upload"));
}

async function askForToken(api) {
  const { ask } = await import("./token_form.js");
  ask(api);
}

/** Mark the library's link while an index run goes on, and say when tracks came or went. */
function sayCatalogChanges({ events, notices }) {
  const link = document.querySelector('.views [data-view="indexing"]');
  let known = null;
  events.addEventListener("indexing", ({ detail }) => {
    link.classList.toggle("busy", detail.state !== "idle");
  });
  events.addEventListener("catalog", ({ detail }) => {
    if (known !== null && detail.tracks !== known && main.dataset.view !== "indexing") {
      notices.say(`The library now has ${counted(detail.tracks, "track")}`);
    }
    known = detail.tracks;
  });
}

begin();
