// What a question starts from: tracks that are liked or not, and words that steer.

const LISTS = ["like", "dislike", "more", "less"];

/** Seeds as values, the same as in the address of the view "similar". Dispatches "change". */
export class Seeds extends EventTarget {
  constructor() {
    super();
    this.clear();
    this.tracks = new Map();
  }

  get empty() {
    return LISTS.every((list) => this[list].length === 0);
  }

  /** Take the seeds that an address names. */
  read(params) {
    for (const list of ["like", "dislike"]) this[list] = params.getAll(list).map(idOrKey);
    for (const list of ["more", "less"]) this[list] = params.getAll(list);
    this.dispatchEvent(new Event("change"));
  }

  /** The seeds as parameters, beside the filters of an address. */
  write(params = new URLSearchParams()) {
    for (const list of LISTS) {
      params.delete(list);
      for (const one of this[list]) params.append(list, one);
    }
    return params;
  }

  /** Values for the API. */
  get values() {
    return Object.fromEntries(LISTS.map((list) => [list, [...this[list]]]));
  }

  /** Like or dislike a track, which leaves the other list. */
  setTrack(track, list) {
    this.tracks.set(track.id, track);
    this.#put(track.id, list, list === "like" ? "dislike" : "like");
  }

  /** Ask for more or less of a word. */
  setWord(word, list) {
    this.#put(word, list, list === "more" ? "less" : "more");
  }

  remove(value, list) {
    this[list] = this[list].filter((one) => one !== value);
    this.dispatchEvent(new Event("change"));
  }

  clear() {
    for (const list of LISTS) this[list] = [];
    this.dispatchEvent(new Event("change"));
  }

  #put(value, list, other) {
    this[other] = this[other].filter((one) => one !== value);
    if (!this[list].includes(value)) this[list].push(value);
    this.dispatchEvent(new Event("change"));
  }
}

const idOrKey = (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text);

/** A wish in words, "less vocals" or "calmer", as the word and the list it belongs to. */
export function readWish(text) {
  const [, sign, word] = /^(more|less|not|no)?\s*(.*)$/is.exec(text.trim());
  return { word: word.trim(), list: sign && sign.toLowerCase() !== "more" ? "less" : "more" };
}
