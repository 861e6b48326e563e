// Elements from names, properties and children; text goes in as text nodes only.

const SVG = "http://www.w3.org/2000/svg";
const ICONS = new URL("./icons.svg", import.meta.url);

/** An element. `name` may carry classes ("button.primary"); children: nodes, texts, arrays, null. */
export function h(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "css") for (const [one, what] of Object.entries(value)) element.style.setProperty(one, what);
    else if (key === "value" || key === "checked") element[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...flat(children));
  return element;
}

/** An icon of icons.svg, unseen by screen readers. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${ICONS.pathname}#${name}`);
  svg.append(use);
  return svg;
}

/** Foreign text that keeps its own direction. */
export const foreign = (text) => h("bdi", {}, text);

/** Put children in the place of all that an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
}

/** Redraw an element; the focus stays on what has the same `data-keep`, else on the first control. */
export function keepFocus(element, draw) {
  const { activeElement } = document;
  const held = element.contains(activeElement);
  const kept = activeElement?.dataset.keep;
  draw();
  if (!held || element.contains(document.activeElement)) return;
  const same = kept === undefined ? null : element.querySelector(`[data-keep="${CSS.escape(kept)}"]`);
  (same ?? element.querySelector('[tabindex="0"], button:not([tabindex="-1"]), a:not([tabindex="-1"])'))?.focus({ preventScroll: true });
}

/** A round button that shows an icon and is known by its label. */
export function iconButton(name, label, onclick, more = {}) {
  return h("button.round", { type: "button", "aria-label": label, title: label, onclick, ...more }, icon(name));
}

/** A button with a label in words and, if wanted, an icon before it. */
export function button(label, onclick, { kind = "quiet", symbol = null, ...more } = {}) {
  return h(`button.${kind}`, { type: "button", onclick, ...more }, symbol && icon(symbol), label);
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
