// A menu beside a button, moved through with the arrow keys.

import { h, icon } from "./dom.js";

/** Open a menu of {label, symbol, run}; null separates. Focus goes back to the button. */
export function openMenu(opener, entries, label) {
  const close = () => menu.hidePopover();
  const items = [];
  const menu = h("div.menu", { role: "menu", popover: "auto", "aria-label": label },
    entries.map((entry) => {
      if (!entry) return h("hr", { role: "separator" });
      const item = h("button", {
        type: "button", role: "menuitem", tabindex: -1,
        onclick: () => { close(); entry.run(); },
      }, icon(entry.symbol), entry.label);
      items.push(item);
      return item;
    }));
  menu.addEventListener("keydown", (event) => {
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (to !== undefined) items.at(to % items.length).focus();
    else if (event.key !== "Tab") return;
    else close();
    event.preventDefault();
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    opener.setAttribute("aria-expanded", "false");
    if (menu.contains(document.activeElement) || document.activeElement === document.body) opener.focus();
    menu.remove();
  });
  document.body.append(menu);
  menu.showPopover();
  place(menu, opener);
  opener.setAttribute("aria-expanded", "true");
  items[0].focus();
}

function place(menu, opener) {
  const [from, size] = [opener.getBoundingClientRect(), menu.getBoundingClientRect()];
  const below = from.bottom + size.height + 8 < innerHeight;
  const top = below ? from.bottom + 4 : Math.max(8, from.top - size.height - 4);
  menu.style.setProperty("left", `${Math.max(8, Math.min(from.right - size.width, innerWidth - size.width - 8))}px`);
  menu.style.setProperty("top", `${top}px`);
}
