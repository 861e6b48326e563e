// The operations of the API by family, from the OpenAPI document that lies beside this page.

import { fill, h } from "./dom.js";

const main = document.getElementById("main");

/** What a schema allows, in a few words. */
function kind(schema) {
  const one = schema.anyOf?.find((other) => other.type !== "null") ?? schema;
  const type = one.type === "array" ? `list of ${one.items?.type ?? "values"}` : one.type ?? "";
  const bounds = [["minimum", "from"], ["maximum", "to"], ["maxLength", "at most"], ["default", "default"]]
    .filter(([name]) => (one[name] ?? schema[name] ?? null) !== null)
    .map(([name, words]) => `${words} ${JSON.stringify(one[name] ?? schema[name])}`);
  return [one.enum ? one.enum.join(" | ") : type, ...bounds].join(", ");
}

function parameter({ name, required, schema, description }) {
  const about = [required ? "required" : null, kind(schema), description].filter(Boolean).join("; ");
  return h("li", {}, h("code", {}, name), h("span.soft", {}, ` ${about}`));
}

function example({ responses }) {
  for (const [status, { content = {} }] of Object.entries(responses)) {
    const [type, body] = Object.entries(content)[0] ?? [];
    if (!status.startsWith("2") || body?.example === undefined) continue;
    const text = typeof body.example === "string" ? body.example : JSON.stringify(body.example, null, 2);
    return h("details", {}, h("summary", {}, `${status} ${type}`), h("pre", { tabindex: 0 }, h("code", {}, text)));
  }
  return null;
}

function operation(method, path, about) {
  const { summary, description, parameters = [] } = about;
  return h("section", {},
    h("h3", {}, summary),
    h("p", {}, h("code", {}, `${method.toUpperCase()} ${path}`)),
    h("p.soft", {}, description),
    parameters.length ? h("ul", {}, parameters.map(parameter)) : null,
    example(about));
}

function families({ paths }) {
  const found = new Map();
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, about] of Object.entries(operations)) {
      const [family] = about.tags;
      found.set(family, [...(found.get(family) ?? []), operation(method, path, about)]);
    }
  }
  return [...found].flatMap(([family, sections]) => [h("h2", {}, family), sections]);
}

async function show() {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const described = await answer.json();
  fill(main,
    h("h1", {}, `${described.info.title} ${described.info.version}: API`),
    h("p.lead", {}, `${described.info.summary} `, h("a", { href: "openapi.json" }, "openapi.json")),
    families(described));
}

show().catch((error) => main.append(h("p.notice", {}, `The description cannot be read (${error.message}): load the page again.`)));
