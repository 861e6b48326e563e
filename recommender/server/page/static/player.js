// One audio element, the media keys, and the next track fetched ahead.

import { url } from "./api.js";
import { nameOf, plain, titleOf } from "./text.js";

const TYPES = {
  mp3: "audio/mpeg", aac: 'audio/mp4; codecs="mp4a.40.2"', flac: "audio/flac",
  ogg: 'audio/ogg; codecs="vorbis"', opus: 'audio/ogg; codecs="opus"', wav: "audio/wav",
};
const SKIP_S = 10;

/**
 * Plays the queue's current track. `left` says how far the one before had come.
 * Dispatches "state" when playing, pausing or failing.
 */
export class Player extends EventTarget {
  constructor({ queue, onProblem }) {
    super();
    this.queue = queue;
    this.onProblem = onProblem;
    this.left = { positionS: 0, ended: false };
    this.audio = document.createElement("audio");
    this.audio.preload = "auto";
    document.body.append(this.audio);
    this.ahead = new Audio();
    this.ahead.preload = "auto";
    this.plays = Object.keys(TYPES).filter((name) => this.audio.canPlayType(TYPES[name])).join(",");
    queue.addEventListener("current", () => this.#begin());
    for (const event of ["play", "pause", "playing", "waiting", "durationchange"]) {
      this.audio.addEventListener(event, () => this.#changed());
    }
    this.audio.addEventListener("ended", () => queue.step(1) || this.#changed());
    this.audio.addEventListener("error", () => this.#failed());
    this.audio.addEventListener("canplaythrough", () => this.#fetchAhead());
    this.#takeMediaKeys();
  }

  get playing() {
    return !this.audio.paused && !this.audio.ended;
  }

  get track() {
    return this.queue.current?.track ?? null;
  }

  get durationS() {
    return Number.isFinite(this.audio.duration) ? this.audio.duration : this.track?.duration_s ?? 0;
  }

  get positionS() {
    return this.audio.currentTime;
  }

  /** Make the restored track ready without playing it. */
  prepare() {
    if (this.track) this.#load(this.track);
  }

  play() {
    if (this.track && !this.audio.src) this.#load(this.track);
    return this.audio.play().catch(() => this.#changed());
  }

  pause() {
    this.audio.pause();
  }

  toggle() {
    if (this.playing) this.pause();
    else if (this.track) this.play();
  }

  seek(seconds) {
    if (!this.track) return;
    this.audio.currentTime = Math.max(0, Math.min(seconds, this.durationS));
    this.#changed();
  }

  seekBy(seconds) {
    this.seek(this.positionS + seconds);
  }

  next() {
    this.queue.step(1);
  }

  /** The track before; the beginning of this one where it has played for some seconds. */
  previous() {
    if (this.positionS > 4 || !this.queue.step(-1)) this.seek(0);
  }

  #begin() {
    this.left = { positionS: this.audio.currentTime, ended: this.audio.ended };
    this.#load(this.track);
    this.play();
  }

  #load(track) {
    this.audio.src = this.#source(track);
    this.#describe(track);
    this.#changed();
  }

  #source(track) {
    return url(`tracks/${track.id}/audio`, { plays: this.plays });
  }

  #fetchAhead() {
    const next = this.queue.upcoming[0];
    if (!next) return;
    const source = this.#source(next.track);
    if (this.ahead.src !== source) this.ahead.src = source;
  }

  async #failed() {
    const { track } = this;
    if (!track || !this.audio.error) return;
    let reason = "this browser cannot play it";
    try {
      const response = await fetch(this.audio.src, { headers: { Range: "bytes=0-0" } });
      if (!response.ok) reason = (await response.json()).detail ?? reason;
    } catch {
      reason = "the server cannot be reached";
    }
    if (track === this.track) this.onProblem(`${plain(nameOf(track), 60)} does not play: ${reason}`);
    this.#changed();
  }

  #describe(track) {
    if (!("mediaSession" in navigator)) return;
    navigator.mediaSession.metadata = new MediaMetadata({
      title: plain(titleOf(track)),
      artist: plain(track.artist ?? ""),
      album: plain(track.album ?? ""),
      artwork: [{ src: url(`tracks/${track.id}/cover`) }],
    });
  }

  #takeMediaKeys() {
    if (!("mediaSession" in navigator)) return;
    const keys = {
      play: () => this.play(), pause: () => this.pause(), stop: () => this.pause(),
      nexttrack: () => this.next(), previoustrack: () => this.previous(),
      seekto: (event) => this.seek(event.seekTime),
      seekforward: (event) => this.seekBy(event.seekOffset ?? SKIP_S),
      seekbackward: (event) => this.seekBy(-(event.seekOffset ?? SKIP_S)),
    };
    for (const [key, run] of Object.entries(keys)) {
      try {
        navigator.mediaSession.setActionHandler(key, run);
      } catch { /* this browser does not know the key */ }
    }
  }

  #changed() {
    if ("mediaSession" in navigator && this.track) {
      navigator.mediaSession.playbackState = this.playing ? "playing" : "paused";
      const [duration, position] = [this.durationS, this.positionS];
      if (duration > 0) navigator.mediaSession.setPositionState?.({ duration, position: Math.min(position, duration) });
    }
    this.dispatchEvent(new Event("state"));
  }
}
