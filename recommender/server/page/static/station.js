// An endless station from the track that plays: the queue is topped up, the sound goes on.

const AHEAD = 3;

/** Dispatches "change" when it begins, ends, or chose something. */
export class Station extends EventTarget {
  #request = null;

  constructor({ api, queue, player, notices }) {
    super();
    Object.assign(this, { api, queue, player, notices, seed: null, ended: null, number: 0 });
    queue.addEventListener("current", () => this.#noteSkip());
    queue.addEventListener("change", () => this.#topUp());
  }

  get on() {
    return this.seed !== null;
  }

  /** Begin from a track; where it is the one that plays, that one is not restarted. */
  start(track, { where = {}, words = {} } = {}) {
    this.#request?.abort();
    this.#request = null;
    Object.assign(this, {
      seed: track, ended: null, number: this.number + 1, last: null,
      where, words, like: [], dislike: [], skip: [],
    });
    if (this.queue.current?.track.id === track.id) this.queue.dropUpcoming((item) => !item.asked);
    else this.queue.play([track], 0);
    this.dispatchEvent(new Event("change"));
  }

  stop() {
    this.#request?.abort();
    this.seed = null;
    this.queue.dropUpcoming((item) => item.station);
    this.dispatchEvent(new Event("change"));
  }

  /** Draw the station towards a track (liked) or push it away; what comes is chosen again. */
  steer(track, { liked }) {
    if (!this.on) return;
    const [meant, other] = liked ? ["like", "dislike"] : ["dislike", "like"];
    this[meant].push(track.id);
    // What was said of it before and is not sent yet no longer counts.
    this[other] = this[other].filter((id) => id !== track.id);
    this.#request?.abort();
    this.#request = null;
    this.ended = null;
    this.queue.dropUpcoming((item) => item.station);
  }

  #noteSkip() {
    const { positionS, ended } = this.player.left;
    const skipped = !ended && positionS < (this.last?.track.duration_s ?? 0) / 2;
    if (this.on && this.last?.station?.of === this.number && skipped) this.skip.push(this.last.track.id);
    this.last = this.queue.current;
  }

  /** The state after the last item of this station in the queue; null before the first. */
  get #state() {
    return this.queue.items.findLast((item) => item.station?.of === this.number)?.station.state ?? null;
  }

  async #topUp() {
    if (!this.on || this.#request || this.ended || this.queue.upcoming.length >= AHEAD) return;
    const request = new AbortController();
    this.#request = request;
    const [like, dislike, skip] = [this.like, this.dislike, this.skip];
    const state = this.#state;
    try {
      const answer = await this.api.post("station", {
        seed: this.seed.id, state, n: 1, like, dislike, skip,
        played: state ? [] : this.queue.trackIds,
        where: this.where, ...this.words,
      }, { signal: request.signal });
      if (this.#request !== request) return;
      this.#request = null;
      this.like = this.like.slice(like.length);
      this.dislike = this.dislike.slice(dislike.length);
      this.skip = this.skip.slice(skip.length);
      this.#take(answer);
    } catch (error) {
      if (this.#request !== request) return;
      this.#request = null;
      this.notices.fail(error, () => this.#topUp());
    }
  }

  #take({ entries, state, ended, note }) {
    if (!entries.length) {
      this.ended = ended ?? note ?? "nothing is left to play";
      this.notices.say(`The station ends: ${this.ended}`);
    }
    for (const track of entries) this.queue.addFromStation(track, { of: this.number, state });
    this.dispatchEvent(new Event("change"));
  }
}
