// What plays, what played and what comes, as values; kept for this tab over a reload.

const STORED = "queue";

/**
 * Items are {track, asked, station, begun}: `asked` was queued by hand; `station` is null or
 * {of, state}, which station chose it and its state afterwards; `begun` once it has played. Dispatches "current" when another item plays and "change" whenever the list changes.
 */
export class Queue extends EventTarget {
  constructor() {
    super();
    this.items = [];
    this.at = -1;
  }

  get current() {
    return this.items[this.at] ?? null;
  }

  get upcoming() {
    return this.items.slice(this.at + 1);
  }

  /** Ids of what has played, plays, or is to come. */
  get trackIds() {
    return this.items.filter((item, index) => item.begun || index > this.at).map((item) => item.track.id);
  }

  /** Play a list from one of its tracks on; what was queued by hand comes right after that one. */
  play(tracks, index) {
    const asked = this.upcoming.filter((item) => item.asked);
    const fresh = tracks.map((track) => ({ track, asked: false, station: null, begun: false }));
    this.items = [...fresh.slice(0, index + 1), ...asked, ...fresh.slice(index + 1)];
    this.#moveTo(index);
  }

  /** Play these after the current one, before everything else. */
  playNext(tracks) {
    this.items.splice(this.at + 1, 0, ...tracks.map(asItem));
    this.#changed();
  }

  /** Play these after what was queued by hand before, but ahead of a station. */
  add(tracks) {
    const station = this.items.findIndex((item, index) => index > this.at && item.station);
    this.items.splice(station < 0 ? this.items.length : station, 0, ...tracks.map(asItem));
    this.#changed();
  }

  /** Add a track that a station chose, at the end. */
  addFromStation(track, station) {
    this.items.push({ track, asked: false, station, begun: false });
    this.#changed();
  }

  /** Take out the upcoming items that `drops` holds of. */
  dropUpcoming(drops) {
    this.items = this.items.filter((item, index) => index <= this.at || !drops(item));
    this.#changed();
  }

  remove(item) {
    const index = this.items.indexOf(item);
    if (index < 0 || index === this.at) return;
    this.items.splice(index, 1);
    if (index < this.at) this.at -= 1;
    this.#changed();
  }

  /** Move an upcoming item by some places, not past the current one. */
  move(item, by) {
    const from = this.items.indexOf(item);
    const to = Math.max(this.at + 1, Math.min(this.items.length - 1, from + by));
    if (from <= this.at || from === to) return;
    this.items.splice(from, 1);
    this.items.splice(to, 0, item);
    this.#changed();
  }

  jump(item) {
    const index = this.items.indexOf(item);
    if (index >= 0) this.#moveTo(index);
  }

  /** Step on (1) or back (-1); false at the end. */
  step(by) {
    const index = this.at + by;
    if (index < 0 || index >= this.items.length) return false;
    this.#moveTo(index);
    return true;
  }

  clearUpcoming() {
    this.dropUpcoming(() => true);
  }

  /** Take up what this tab played before it was loaded again. */
  restore() {
    try {
      const { items, at } = JSON.parse(sessionStorage.getItem(STORED)) ?? {};
      if (!Array.isArray(items) || !items[at]) return;
      [this.items, this.at] = [items, at];
    } catch { /* nothing that can be read was stored */ }
  }

  #moveTo(index) {
    this.at = index;
    this.items[index].begun = true;
    this.#changed();
    this.dispatchEvent(new Event("current"));
  }

  #changed() {
    try {
      const from = Math.max(0, this.at - 20);
      const items = this.items.slice(from, from + 200);
      sessionStorage.setItem(STORED, JSON.stringify({ items, at: this.at - from }));
    } catch { /* storage is full or off: the queue lives as long as the page */ }
    this.dispatchEvent(new Event("change"));
  }
}

const asItem = (track) => ({ track, asked: true, station: null, begun: false });
