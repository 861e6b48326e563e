// Short sentences at the edge of the page, read out by screen readers.

import { fill, h, iconButton } from "./dom.js";
import { isAbort } from "./api.js";
import { sentence } from "./text.js";

const SHOWN_MS = 6000;

export class Notices {
  constructor(element) {
    this.element = element;
  }

  /** Show a sentence for some seconds; `action` {label, run} gives a button beside it. */
  say(text, { action = null, kind = "plain" } = {}) {
    const close = () => notice.remove();
    const act = action && h("button.link", { type: "button", onclick: () => { close(); action.run(); } }, action.label);
    const notice = h(`div.notice.${kind}`, {}, h("span", { dir: "auto" }, sentence(text)), act, iconButton("close", "Dismiss", close));
    fill(this.element, notice);
    if (kind !== "error") setTimeout(close, action ? 2 * SHOWN_MS : SHOWN_MS);
  }

  /** Show what went wrong; an answer that nobody waits for any more is no error. */
  fail(error, retry = null) {
    if (isAbort(error)) return;
    if (!error.status && error.status !== 0) console.error(error);
    this.say(error.message, { kind: "error", action: retry && { label: "Try again", run: retry } });
  }
}
