// The HTTP interface by its own description: requests are found in the OpenAPI document, and every answer is compared
// with it.

import assert from "node:assert/strict";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const METHODS = ["get", "post", "put", "patch", "delete"];
const DOCUMENT = "openapi";

/** A path of a JSON document as a pointer, for `$ref`. */
function pointer(...names) {
  const escaped = names.map((name) => encodeURIComponent(name.replaceAll("~", "~0").replaceAll("/", "~1")));
  return escaped.map((name) => `/${name}`).join("");
}

/**
 * Closes every object of `schema`, so that it allows the fields that it names and no others. An object that is part of
 * another one (`allOf`) is closed with that one; `parts` are the names of such schemas.
 */
function close(schema, parts, isPart = false) {
  if (Array.isArray(schema)) return schema.map((item) => close(item, parts, isPart));
  if (typeof schema !== "object" || schema === null) return schema;
  const closed = {};
  for (const [name, value] of Object.entries(schema)) closed[name] = close(value, parts, isPart || name === "allOf");
  if (isPart) return closed;
  if (schema.allOf) closed.unevaluatedProperties = false;
  else if (schema.properties) closed.additionalProperties ??= false;
  return closed;
}

/** The names of the schemas of which others are made by `allOf`, anywhere in `document`. */
function partsOf(document) {
  if (typeof document !== "object" || document === null) return new Set();
  const inner = Object.values(document).flatMap((value) => [...partsOf(value)]);
  const all = Array.isArray(document.allOf) ? document.allOf : [];
  return new Set([...inner, ...all.flatMap(({ $ref }) => ($ref ? [$ref.split("/").at(-1)] : []))]);
}

/** A document whose schemas allow what they name and nothing else. */
export function closed(document) {
  const { schemas } = document.components;
  const parts = partsOf(document);
  const copy = close({ ...document, components: { ...document.components, schemas: {} } }, parts);
  for (const [name, schema] of Object.entries(schemas)) {
    copy.components.schemas[name] = close(schema, parts, parts.has(name));
  }
  return copy;
}

/** The OpenAPI document of a server. */
export class Description {
  #ajv = new Ajv({ strict: false, allErrors: true });

  constructor(document) {
    this.document = document;
    /** The operations by their names, each with its method and its path. */
    this.operations = new Map();
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        this.operations.set(operation.operationId, { method, path, ...operation });
      }
    }
    addFormats(this.#ajv);
    const { components, paths } = document;
    this.#ajv.addSchema(closed({ components, paths }), DOCUMENT);
  }

  /** Reads the document of `server`. */
  static async read(server) {
    const response = await server.get("/api/v1/openapi.json");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json");
    return new Description(await response.json());
  }

  /** The methods that `path` has, and those that it does not have. */
  methods(path) {
    const described = METHODS.filter((method) => this.document.paths[path][method]);
    return { described, others: METHODS.filter((method) => !described.includes(method)) };
  }

  /** What `$ref` refers to, or the schema itself. */
  resolve(schema) {
    if (!schema.$ref) return schema;
    const names = schema.$ref.slice(2).split("/");
    return names.reduce((at, name) => at[name.replaceAll("~1", "/").replaceAll("~0", "~")], this.document);
  }

  /** The address of an operation: `fields` are those of its path, and of its query. */
  address(name, fields = {}) {
    const { path, parameters = [] } = this.operations.get(name);
    const rest = new Map(Object.entries(fields));
    let address = path;
    for (const parameter of parameters.filter((it) => it.in === "path")) {
      assert.ok(rest.has(parameter.name), `${name} needs ${parameter.name}`);
      address = address.replace(`{${parameter.name}}`, encodeURIComponent(rest.get(parameter.name)));
      rest.delete(parameter.name);
    }
    const query = new URLSearchParams([...rest]);
    return query.size ? `${address}?${query}` : address;
  }

  /** The schema and the example of the JSON body of an operation, if it has one. */
  body(name) {
    return this.operations.get(name).requestBody?.content["application/json"];
  }

  /** Checks that the answer to an operation has a status, a type and a content that are described; returns the content. */
  async check(name, response) {
    const { path, method, responses } = this.operations.get(name);
    const said = `${name}: ${response.status}`;
    const described = responses[response.status];
    const text = await response.text();
    assert.ok(described, `${said} is not described: ${text}`);
    const [type] = (response.headers.get("content-type") ?? "").split(";");
    const { content, headers = {} } = this.resolve(described);
    assert.ok(content[type], `${said} has the type ${type}: ${text}`);
    for (const header of Object.keys(headers)) assert.ok(response.headers.has(header), `${said} lacks ${header}`);
    const place = described.$ref?.slice(1) ?? pointer("paths", path, method, "responses", String(response.status));
    const validate = this.#ajv.compile({ $ref: `${DOCUMENT}#${place}${pointer("content", type, "schema")}` });
    const body = type === "application/json" ? JSON.parse(text) : text;
    assert.ok(validate(body), `${said}: ${JSON.stringify(validate.errors)} in ${text}`);
    return body;
  }
}
