// Addresses of views: "#/track/17", "#/similar?like=17&more=calm".

/** The view, the id in it and the parameters that the address names. */
export function parse(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [name, id = null] = path.split("/");
  return { name: name || "search", id, params: new URLSearchParams(search) };
}

/** The address of a view. */
export function address(name, params = new URLSearchParams(), id = null) {
  const search = params.toString();
  const path = name === "search" ? "" : name + (id === null ? "" : `/${id}`);
  return `#/${path}${search ? `?${search}` : ""}`;
}

/**
 * The view that the page shows; `go` leads to another one. `scrolledTo` is how far down a view was
 * when it was left, where one comes back to it, else null. Dispatches "change".
 */
export class Router extends EventTarget {
  constructor() {
    super();
    this.route = parse(location.hash);
    this.scrolledTo = null;
    this.positions = new Map();
    history.scrollRestoration = "manual";
    addEventListener("hashchange", () => this.#changed());
    addEventListener("scroll", () => this.positions.set(this.visit, scrollY), { passive: true });
    this.#mark();
  }

  go(hash, { replace = false } = {}) {
    if (hash === (location.hash || "#/")) return;
    if (replace) {
      history.replaceState(history.state, "", hash);
      this.#changed();
    } else location.hash = hash;
  }

  /** Number this visit, or find the number that it was given. */
  #mark() {
    this.scrolledTo = this.positions.get(history.state?.visit) ?? null;
    this.visit = history.state?.visit ?? Date.now();
    history.replaceState({ visit: this.visit }, "");
  }

  #changed() {
    this.#mark();
    this.route = parse(location.hash);
    this.dispatchEvent(new Event("change"));
  }
}
