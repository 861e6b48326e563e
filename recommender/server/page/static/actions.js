// What can be done with a track, wherever it is shown.

import { url } from "./api.js";
import { address } from "./router.js";
import { filtersOf } from "./filters.js";
import { counted, nameOf, plain } from "./text.js";

export class Actions {
  constructor({ api, router, queue, player, station, seeds, notices }) {
    Object.assign(this, { api, router, queue, player, station, seeds, notices });
  }

  /** Play a list of tracks from one of them on. */
  play(tracks, index = 0) {
    if (this.station.on) this.station.stop();
    this.queue.play(tracks, index);
  }

  /** Make a track a seed; `basis` is what the list it stands in is like, if nothing is liked yet. */
  steer(track, list, basis = []) {
    if (this.seeds.like.length === 0) for (const seed of basis) this.seeds.setTrack(seed, "like");
    this.seeds.setTrack(track, list);
    if (this.station.on) this.station.steer(track, { liked: list === "like" });
    this.askSimilar();
  }

  /** Show what is like the seeds; the filters of the address stay. */
  askSimilar() {
    if (this.seeds.empty) {
      if (this.router.route.name === "similar") this.router.go(address("search"));
      return;
    }
    this.router.go(address("similar", this.seeds.write(filtersOf(this.router.route.params))));
  }

  playNext(track) {
    this.#queueOrPlay(track, () => this.queue.playNext([track]), "Plays next");
  }

  addToQueue(track) {
    this.#queueOrPlay(track, () => this.queue.add([track]), "In the queue");
  }

  async addSimilar(track, n = 10) {
    try {
      const { neighbours, note } = await this.api.get("similar", { like: track.id, n });
      this.queue.add(neighbours.map((one) => one.track));
      if (!this.queue.current && neighbours.length) this.queue.step(1);
      this.notices.say(note ?? `${counted(neighbours.length, "similar track")} in the queue`);
    } catch (error) {
      this.notices.fail(error, () => this.addSimilar(track, n));
    }
  }

  startStation(track) {
    const { name, params } = this.router.route;
    const { more, less } = this.seeds;
    const words = { ...(more.length ? { more } : {}), ...(less.length ? { less } : {}) };
    this.station.start(track, name === "similar" ? { words, where: whereOf(params) } : {});
    this.notices.say(`A station from ${plain(nameOf(track), 60)}`);
  }

  /** Make a track an end of a path; the other end stays. */
  setPathEnd(track, end) {
    const params = this.router.route.name === "path" ? new URLSearchParams(this.router.route.params) : new URLSearchParams();
    for (const other of ["start", "end"]) if (!params.has(other) && this[other]) params.set(other, this[other]);
    this[end] = track.id;
    params.set(end, track.id);
    this.router.go(address("path", params));
  }

  openDetails(track) {
    this.router.go(address("track", undefined, track.id));
  }

  /** The entries of a track's menu. */
  menuOf(track, basis = []) {
    return [
      { label: "Play next", symbol: "next-up", run: () => this.playNext(track) },
      { label: "Add to queue", symbol: "queue", run: () => this.addToQueue(track) },
      { label: "Add 10 similar", symbol: "plus", run: () => this.addSimilar(track) },
      { label: "Station from here", symbol: "station", run: () => this.startStation(track) },
      null,
      { label: "More like this", symbol: "more", run: () => this.steer(track, "like", basis) },
      { label: "Less like this", symbol: "less", run: () => this.steer(track, "dislike", basis) },
      { label: "Path from here", symbol: "path", run: () => this.setPathEnd(track, "start") },
      { label: "Path to here", symbol: "path", run: () => this.setPathEnd(track, "end") },
      null,
      { label: "Details", symbol: "info", run: () => this.openDetails(track) },
    ];
  }

  #queueOrPlay(track, put, said) {
    put();
    if (!this.queue.current) this.queue.step(1);
    else this.notices.say(`${said}: ${plain(nameOf(track), 60)}`);
  }
}

/** The address of a playlist file of exactly these tracks, in their order. */
export function playlistUrl(tracks, title) {
  return url("playlist.m3u8", { id: tracks.map((track) => track.id), title: plain(title) });
}

/** The filters of an address as the object that a station takes. */
function whereOf(params) {
  const where = {};
  for (const [name, value] of filtersOf(params)) {
    if (/_(from|to|since)$/.test(name)) where[name] = Number(value);
    else (where[name] ??= []).push(value);
  }
  return where;
}
