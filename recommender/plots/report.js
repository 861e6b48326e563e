"use strict";
// The map on top of what works without scripts: names of dots under a finger or a pointer, colours
// by genre or cluster, a group singled out, a search.
(() => {
  const plot = document.getElementById("plot");
  if (!plot) return;
  const dots = [...plot.querySelectorAll("#map circle")];
  const names = dots.map((dot) => dot.querySelector("title").textContent);
  const folded = (words) => words.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const searchable = names.map(folded);
  const status = document.getElementById("status");
  const search = document.getElementById("search");
  const buttons = [...plot.querySelectorAll("[data-group]")];
  const hint = status.textContent;
  let single = null;

  const show = () => {
    const words = folded(search.value).split(/\s+/).filter(Boolean);
    let found = 0;
    dots.forEach((dot, index) => {
      const matches = words.every((word) => searchable[index].includes(word));
      const shown = matches && (!single || dot.classList.contains(single));
      dot.classList.toggle("dim", !shown);
      found += shown;
    });
    buttons.forEach((button) =>
      button.setAttribute("aria-pressed", String(button.dataset.group === single)));
    status.textContent = words.length || single ? `${found} of ${dots.length} tracks` : hint;
  };
  let last = null;
  const name = (event) => {
    const dot = event.target.closest("#map circle");
    if (last) last.classList.remove("hit");
    last = dot;
    if (!dot) return;
    dot.classList.add("hit");
    status.textContent = names[dots.indexOf(dot)];
  };
  const map = document.getElementById("map");
  map.addEventListener("pointerover", name);
  map.addEventListener("click", name);
  buttons.forEach((button) => button.addEventListener("click", () => {
    single = single === button.dataset.group ? null : button.dataset.group;
    show();
  }));
  plot.querySelectorAll("input[name=by]").forEach((choice) =>
    choice.addEventListener("change", () => {
      plot.className = `by-${choice.value}`;
      single = null;
      show();
    }));
  search.addEventListener("input", show);
  document.querySelector(".controls").hidden = false;
})();
