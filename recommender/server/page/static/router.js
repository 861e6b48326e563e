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

/** The view that the page shows; `go` leads to another one. Dispatches "change". */
export class Router extends EventTarget {
  constructor() {
    super();
    addEventListener("hashchange", () => this.#changed());
    this.route = parse(location.hash);
  }

  go(hash, { replace = false } = {}) {
    if (hash === (location.hash || "#/")) return;
    if (replace) {
      history.replaceState(null, "", hash);
      this.#changed();
    } else location.hash = hash;
  }

  #changed() {
    this.route = parse(location.hash);
    this.dispatchEvent(new Event("change"));
  }
}
