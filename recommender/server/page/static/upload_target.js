// A file dropped anywhere, or chosen, is asked about.

import { h, icon } from "./dom.js";

const MOST_BYTES = 2 ** 31;

/** Take files that are dropped on the page; `ask` gets the first one. */
export function takeDrops(ask, notices) {
  const veil = h("div.veil", { hidden: true }, h("div", {}, icon("upload"), h("p", {}, "Drop it to ask what sounds like it")));
  document.body.append(veil);
  let depth = 0;
  const over = (event) => event.dataTransfer?.types.includes("Files");
  const show = (by) => {
    depth = by ? depth + by : 0;
    veil.hidden = depth <= 0;
  };
  addEventListener("dragenter", (event) => over(event) && show(1));
  addEventListener("dragleave", (event) => over(event) && show(-1));
  addEventListener("dragover", (event) => over(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!over(event)) return;
    event.preventDefault();
    show(0);
    const [file, ...others] = event.dataTransfer.files;
    if (!file) notices.say("That is a folder: drop one file of music.");
    else take(file, ask, notices);
    if (others.length) notices.say(`One file at a time: this is ${file.name}.`);
  });
}

/** A button that lets a file be chosen. */
export function fileButton(label, ask, notices, kind = "primary") {
  const input = h("input.unseen", { type: "file", accept: "audio/*,video/mp4,video/webm,.ape,.wv,.dsf,.mpc,.tta,.wma", tabindex: -1, "aria-hidden": "true" });
  input.addEventListener("change", () => {
    if (input.files[0]) take(input.files[0], ask, notices);
    input.value = "";
  });
  return h("span.file", {}, h(`button.${kind}`, { type: "button", onclick: () => input.click() }, icon("upload"), label), input);
}

function take(file, ask, notices) {
  if (file.size > MOST_BYTES) notices.say(`${file.name} is larger than 2 GB: that is no single piece of music.`, { kind: "error" });
  else ask(file);
}
