// What the server tells by itself: one connection while the tab is seen, none while it is hidden.

import { url } from "./api.js";

/** Dispatches "indexing" (detail: the run's state) and "catalog" (detail: change, tracks). */
export class ServerEvents extends EventTarget {
  #source = null;

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => this.#follow());
    addEventListener("pagehide", () => this.#close());
    addEventListener("pageshow", () => this.#follow());
  }

  /** Begin to listen, once the first view is there. */
  start() {
    this.started = true;
    this.#follow();
  }

  #follow() {
    if (!this.started || document.hidden) this.#close();
    else if (!this.#source) this.#open();
  }

  #open() {
    this.#source = new EventSource(url("indexing/events"));
    for (const name of ["indexing", "catalog"]) {
      this.#source.addEventListener(name, (event) => {
        this.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(event.data) }));
      });
    }
    this.#source.addEventListener("bye", () => this.#retryLater());
    this.#source.addEventListener("error", () => {
      if (this.#source?.readyState === EventSource.CLOSED) this.#retryLater();
    });
  }

  #retryLater() {
    this.#close();
    setTimeout(() => this.#follow(), 15_000);
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }
}
