// Questions to the server, relative to the page; problems as errors with one sentence.

/** What the server, or the way to it, had against a request. `message` is for people. */
export class Problem extends Error {
  constructor(status, message, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

const BASE = new URL("api/v1/", document.baseURI);

/** Parameters in the order given; a list repeats its name, what is empty is left out. */
export function query(params = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") search.append(name, one);
    }
  }
  return search;
}

/** The address of a resource of the API. */
export function url(path, params = {}) {
  const address = new URL(path, BASE);
  address.search = query(params).toString();
  return address.href;
}

export class Api {
  /** `onUnauthorised` is called when the server asks for its token. */
  constructor({ onUnauthorised }) {
    this.onUnauthorised = onUnauthorised;
  }

  get(path, params, { signal } = {}) {
    return this.#ask(url(path, params), { signal });
  }

  post(path, body, { signal, params } = {}) {
    const headers = { "Content-Type": "application/json" };
    return this.#ask(url(path, params), { method: "POST", headers, body: JSON.stringify(body), signal });
  }

  delete(path) {
    return this.#ask(url(path), { method: "DELETE" });
  }

  /** A response as bytes, with its status: 202 means "not yet". */
  async bytes(path, { signal } = {}) {
    const response = await this.#fetch(url(path), { signal });
    return { status: response.status, response };
  }

  /** Send a file's bytes; `onProgress` gets the share sent, from 0 to 1. */
  upload(path, params, file, { onProgress, signal }) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", url(path, params));
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable && event.total) onProgress(event.loaded / event.total);
      });
      request.upload.addEventListener("load", () => onProgress(1));
      request.addEventListener("load", () => {
        if (request.status < 300) resolve(parsed(request.responseText));
        else reject(this.#problem(request.status, parsed(request.responseText)));
      });
      request.addEventListener("error", () => reject(unreachable()));
      request.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
      signal.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }

  async #ask(address, options) {
    const response = await this.#fetch(address, options);
    const text = await response.text();
    return text ? JSON.parse(text) : null;
  }

  async #fetch(address, options) {
    let response;
    try {
      response = await fetch(address, options);
    } catch (error) {
      throw error.name === "AbortError" ? error : unreachable();
    }
    if (!response.ok) throw this.#problem(response.status, parsed(await response.text()));
    return response;
  }

  #problem(status, body) {
    if (status === 401) this.onUnauthorised();
    return new Problem(status, body?.detail || body?.title || `The server answered with ${status}.`, body ?? {});
  }
}

/** Whether an error only says that nobody waits for the answer any more. */
export const isAbort = (error) => error?.name === "AbortError";

function unreachable() {
  return new Problem(0, "The server cannot be reached: check that soundalike serve is running.");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
