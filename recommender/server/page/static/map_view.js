// The map: every track a point, near is alike. Click plays, what is searched lights up.

import { fill, foreign, h } from "./dom.js";
import { Camera } from "./map_camera.js";
import { listen } from "./map_gestures.js";
import { Overlay } from "./map_overlay.js";
import { Grid, parsePoints, rowOf } from "./map_points.js";
import { GROUPS, looksOf, makeRenderer } from "./map_renderer.js";
import { counted, nameOf, plain } from "./text.js";

const NO_WEBGL2 = "This browser cannot draw the map, which needs WebGL2: turn on hardware acceleration in its settings, or use a current browser.";
const OTHER = "#80878f";
const REACH_PX = 14;
const HOVER_MS = 60;
const SETTLE_MS = 350;
const NAMES = 500;
const [ASK_MS, LONGEST_MS] = [2000, 30000];

/**
 * Show the map in an element. `api`: `get(path, params, {signal})` and `bytes(path, {signal})`;
 * `onPlay(id)` on a click or Enter, `onHover(id or null, name)`. Resolves when it is drawn:
 * `highlight(ids)` lights tracks up, none for all alike; `setPlaying(id or null, neighbourIds)`
 * draws lines from the track that plays; `destroy()` ends it.
 */
export async function openMap(container, { api, onPlay, onHover = () => {} }) {
  await style("map.css");
  const points = h("canvas");
  const renderer = makeRenderer(points);
  if (!renderer) {
    fill(container, h("p.map-fallback", { role: "status" }, NO_WEBGL2));
    return { highlight() {}, setPlaying() {}, destroy: () => fill(container) };
  }
  const view = new MapView(container, points, renderer, { api, onPlay, onHover });
  await view.load();
  return view;
}

class MapView {
  #ended = new AbortController();
  #camera = new Camera();
  #names = new Map();
  #lit = new Set();
  #playing = { row: -1, near: [] };
  #asked = { lit: [], playing: [null, []] };
  #hovered = -1;
  #byKeys = false;
  #frame = 0;
  #timers = {};

  constructor(container, points, renderer, { api, onPlay, onHover }) {
    Object.assign(this, { container, points, renderer, api, onPlay, onHover });
    const overlay = h("canvas.map-overlay");
    this.tip = h("div.map-tip", { hidden: true, "aria-hidden": "true" });
    this.said = h("div.unseen", { role: "status" });
    this.surface = h("div.map-canvas", { tabindex: 0, role: "application" }, points, overlay);
    fill(container, this.surface, this.tip, this.said);
    this.overlay = new Overlay(overlay);
    this.#listen();
  }

  /** Fetch points and groups, and ask again as long as a newer map is being computed. */
  async load() {
    const signal = this.#ended.signal;
    const groups = await this.api.get("map/groups", {}, { signal });
    const { status, response } = await this.api.bytes("map", { signal });
    if (status !== 200) throw new Error("The map is being computed: open it again in a minute.");
    const data = parsePoints(await response.arrayBuffer());
    this.data = data;
    this.groups = groups.groups;
    this.grid = new Grid(data.xy);
    this.#hovered = -1;
    this.#camera.fit(data.xy);
    this.surface.setAttribute("aria-label",
      `Map of ${counted(data.count, "track")}: arrow keys move it, plus and minus zoom, Enter plays the track nearest to the centre`);
    this.#fillBuffers();
    this.highlight(this.#asked.lit);
    this.setPlaying(...this.#asked.playing);
    if (groups.updating) this.#askAgain(ASK_MS);
  }

  highlight(ids) {
    this.#asked.lit = ids;
    this.#lit = new Set(ids.map((id) => rowOf(this.data.ids, id)).filter((row) => row >= 0));
    this.renderer.setLooks(looksOf(this.data.groups, this.#lit));
    this.#draw();
  }

  setPlaying(id, neighbourIds = []) {
    this.#asked.playing = [id, neighbourIds];
    const rows = neighbourIds.map((one) => rowOf(this.data.ids, one)).filter((row) => row >= 0);
    this.#playing = { row: id === null ? -1 : rowOf(this.data.ids, id), near: rows };
    this.#draw();
  }

  destroy() {
    this.#ended.abort();
    cancelAnimationFrame(this.#frame);
    Object.values(this.#timers).forEach(clearTimeout);
    this.renderer.release();
    fill(this.container);
  }

  #listen() {
    const { signal } = this.#ended;
    listen(this.surface, {
      pan: (right, down) => this.#move(() => this.#camera.pan(right, down)),
      zoom: (factor, left, top) => this.#move(() => this.#camera.zoomAt(factor, left, top)),
      reset: () => this.#move(() => this.#camera.reset()),
      point: (left, top) => this.#point(left, top),
      click: (left, top) => this.#play(this.#rowAt(left, top)),
      playCentre: () => this.#play(this.#centreRow()),
      keys: () => this.#later("centre", SETTLE_MS, () => this.#sayCentre()),
    }, signal);
    this.surface.addEventListener("keydown", () => this.#setByKeys(true), { signal });
    for (const kind of ["pointerdown", "blur"]) this.surface.addEventListener(kind, () => this.#setByKeys(false), { signal });
    const resized = new ResizeObserver(() => this.#resize());
    resized.observe(this.surface);
    signal.addEventListener("abort", () => resized.disconnect());
    const themed = () => {
      this.overlay.readTheme();
      this.#draw();
    };
    document.documentElement.addEventListener("theme", themed, { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themed, { signal });
    this.points.addEventListener("webglcontextlost", (event) => event.preventDefault(), { signal });
    this.points.addEventListener("webglcontextrestored", () => this.#restore(), { signal });
  }

  #restore() {
    this.renderer = makeRenderer(this.points);
    this.#fillBuffers();
    this.renderer.setLooks(looksOf(this.data.groups, this.#lit));
    this.#draw();
  }

  #fillBuffers() {
    this.renderer.setPoints(this.data.xy);
    const colours = Array.from({ length: GROUPS }, (_, group) => rgb(this.groups[group]?.color ?? OTHER));
    this.renderer.setColours(new Float32Array(colours.flat()));
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.surface;
    this.ratio = devicePixelRatio;
    for (const canvas of [this.points, this.overlay.canvas]) {
      canvas.width = Math.max(1, Math.round(width * this.ratio));
      canvas.height = Math.max(1, Math.round(height * this.ratio));
    }
    Object.assign(this.#camera, { width: Math.max(1, width), height: Math.max(1, height) });
    this.#draw();
  }

  #move(change) {
    change();
    this.#draw();
  }

  /** Ask for one frame; nothing is drawn while nothing changes. */
  #draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (!this.data || this.#ended.signal.aborted) return;
      const { x, y, unit, width, height } = this.#camera;
      const size = this.#pointSize();
      this.renderer.draw({ x, y, scaleX: (2 * unit) / width, scaleY: (2 * unit) / height, pointSize: size * this.ratio });
      this.overlay.draw({ ...this.#drawn(size), ratio: this.ratio });
    });
  }

  /** CSS pixels of a point: smaller the more there are, larger as one comes near. */
  #pointSize() {
    const { width, height, zoom } = this.#camera;
    const room = Math.sqrt((width * height) / this.data.count);
    return Math.max(1.6, Math.min(12, 0.3 * room * zoom ** 0.4, 0.5 * room * zoom));
  }

  #drawn(size) {
    const at = (row) => this.#camera.toView(this.data.xy[2 * row], this.data.xy[2 * row + 1]);
    const { row, near } = this.#playing;
    const ring = (one, strong) => ({ at: at(one), radius: size / 2 + 4, strong });
    const marked = this.#byKeys ? this.#centreRow() : this.#hovered;
    return {
      names: this.groups.filter((group) => group.x !== null && group.tracks)
        .map(({ name, x, y }) => ({ name: plain(name, 28), at: this.#camera.toView(x, y) })),
      lines: row < 0 ? [] : near.map((other) => [at(row), at(other)]),
      rings: [row >= 0 && ring(row, true), marked >= 0 && ring(marked, false)].filter(Boolean),
    };
  }

  #rowAt(left, top) {
    return this.grid ? this.grid.nearest(...this.#camera.toMap(left, top), REACH_PX / this.#camera.unit) : -1;
  }

  #centreRow() {
    return this.grid ? this.grid.nearest(this.#camera.x, this.#camera.y) : -1;
  }

  #setByKeys(byKeys) {
    if (byKeys !== this.#byKeys) this.#move(() => (this.#byKeys = byKeys));
  }

  #point(left, top) {
    const row = left === null ? -1 : this.#rowAt(left, top);
    if (row === this.#hovered) return;
    this.#hovered = row;
    this.tip.hidden = true;
    this.#draw();
    if (row < 0) this.onHover(null, "");
    this.#later("hover", HOVER_MS, () => row >= 0 && this.#showTip(row));
  }

  async #showTip(row) {
    const id = this.data.ids[row];
    const name = await this.#name(id);
    if (row !== this.#hovered || id !== this.data.ids[row] || !name) return;
    fill(this.tip, foreign(name)).hidden = false;
    const [left, top] = this.#camera.toView(this.data.xy[2 * row], this.data.xy[2 * row + 1]);
    const room = this.container.clientWidth - this.tip.offsetWidth - 8;
    const below = top < this.tip.offsetHeight + 20;
    const [x, y] = [Math.max(8, Math.min(room, left - this.tip.offsetWidth / 2)), below ? top + 14 : top - this.tip.offsetHeight - 14];
    this.tip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    this.onHover(id, name);
  }

  async #sayCentre() {
    const row = this.#centreRow();
    const timer = this.#timers.centre;
    const name = row >= 0 && (await this.#name(this.data.ids[row]));
    if (name && timer === this.#timers.centre && row === this.#centreRow()) fill(this.said, foreign(`At the centre: ${name}`));
  }

  async #play(row) {
    if (row < 0) return;
    const id = this.data.ids[row];
    this.onPlay(id);
    // What was at the centre before must not be said over what plays.
    this.#drop("centre");
    const name = await this.#name(id);
    if (name) fill(this.said, foreign(`Plays: ${name}`));
  }

  /** The name of a track, fetched when it is first wanted; null where it cannot be had. */
  async #name(id) {
    if (!this.#names.has(id)) {
      try {
        this.#names.set(id, plain(nameOf(await this.api.get(`tracks/${id}`, {}, { signal: this.#ended.signal })), 120));
      } catch {
        return null;
      }
      if (this.#names.size > NAMES) this.#names.delete(this.#names.keys().next().value);
    }
    return this.#names.get(id);
  }

  /** While the catalog is being written to: look for a newer map, less and less often. */
  #askAgain(wait) {
    this.#later("update", wait, async () => {
      try {
        const groups = await this.api.get("map/groups", {}, { signal: this.#ended.signal });
        if (groups.version !== this.data.version) await this.load();
        else if (groups.updating) this.#askAgain(Math.min(LONGEST_MS, 1.5 * wait));
      } catch { /* The map stays as it is: it is shown whole, and the next view of it asks anew. */ }
    });
  }

  #later(name, wait, run) {
    this.#drop(name);
    this.#timers[name] = setTimeout(run, wait);
  }

  #drop(name) {
    clearTimeout(this.#timers[name]);
    delete this.#timers[name];
  }
}

/** Load a stylesheet beside this module once. */
function style(name) {
  const href = new URL(name, import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return null;
  return new Promise((resolve) => {
    const link = h("link", { rel: "stylesheet", href, onload: resolve, onerror: resolve });
    document.head.append(link);
  });
}

/** "#436fde" as shares of red, green and blue. */
function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);
}
