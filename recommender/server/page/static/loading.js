// The states of what is fetched: waiting, failed with a way to try again, there.

import { isAbort } from "./api.js";
import { button, fill, h, icon, keepFocus } from "./dom.js";
import { sentence } from "./text.js";

/** Gives each request a signal that aborts the one before, so that late answers are dropped. */
export class Latest {
  #controller = null;

  constructor(signal) {
    signal?.addEventListener("abort", () => this.#controller?.abort());
  }

  next() {
    this.#controller?.abort();
    this.#controller = new AbortController();
    return this.#controller.signal;
  }
}

/**
 * Fill an element with what `ask` answers, drawn by `draw`; what it held stays until then.
 * An error becomes a sentence with "Try again". Returns whether it was drawn.
 */
export async function load(element, ask, draw, signal) {
  element.setAttribute("aria-busy", "true");
  if (!element.childElementCount) fill(element, skeleton());
  try {
    const answer = await ask(signal);
    if (signal.aborted) return false;
    keepFocus(element, () => fill(element, draw(answer)));
    return true;
  } catch (error) {
    if (isAbort(error) || signal.aborted) return false;
    if (error.status === undefined) console.error(error);
    fill(element, problem(error, () => load(element, ask, draw, signal)));
    return false;
  } finally {
    if (!signal.aborted) element.removeAttribute("aria-busy");
  }
}

/** A sentence of what went wrong, with a way to try again. */
export function problem(error, retry) {
  return h("div.problem", { role: "alert" }, icon("alert"),
    h("p", { dir: "auto" }, sentence(error.message)), retry && button("Try again", retry));
}

/** Why an answer is short; null where it is not. */
export function note(text) {
  return text ? h("p.note", { role: "status" }, icon("info"), h("span", { dir: "auto" }, `${sentence(text)}${/[.!?]$/.test(text) ? "" : "."}`)) : null;
}

/** What a list looks like before it is there. */
export function skeleton(rows = 6) {
  return h("div.skeleton", { "aria-hidden": "true" }, Array.from({ length: rows }, () => h("i")));
}
