//! `GET /api/v1/docs`: the OpenAPI document as a page for people. It has no script and loads nothing.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");

/// The policy of the page: it may have its own style and nothing else.
pub(super) fn content_security_policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// The page of a document.
pub(super) fn render(document: &Value) -> String {
    let mut html = Html::default();
    html.raw("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width\">");
    html.element("title", "HTTP interface of Realtime Server");
    html.raw("<style>").raw(STYLE).raw("</style></head><body>");
    navigation(&mut html, document);
    html.raw("<main>").element("h1", "HTTP interface");
    for paragraph in text(&document["info"]["description"]).split("\n\n") {
        html.raw("<p>").prose(paragraph).raw("</p>");
    }
    html.raw("<p>The same for programs: <a href=\"openapi.json\">OpenAPI</a>.</p>");
    for (tag, operations) in by_tag(document) {
        html.element("h2", &capitalised(tag));
        for operation in operations {
            section(&mut html, document, &operation);
        }
    }
    html.element("h2", "Errors");
    for (name, response) in members(&document["components"]["responses"]) {
        html.raw(&format!("<h3 id=\"response-{name}\">"))
            .text(name)
            .raw("</h3><p>");
        html.prose(text(&response["description"])).raw("</p>");
    }
    html.element("h2", "Objects");
    for (name, schema) in members(&document["components"]["schemas"]) {
        html.raw(&format!("<h3 id=\"schema-{name}\">"))
            .text(name)
            .raw("</h3>");
        object(&mut html, document, schema);
    }
    html.raw("</main></body></html>");
    html.0
}

/// A method of a path.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    described: &'a Value,
}

impl Operation<'_> {
    fn name(&self) -> &str {
        text(&self.described["operationId"])
    }
}

/// The operations in the order of their tags.
fn by_tag(document: &Value) -> Vec<(&str, Vec<Operation<'_>>)> {
    let tags = items(&document["tags"]).map(|tag| text(&tag["name"]));
    let of_tag = |tag: &str| {
        let paths = members(&document["paths"]);
        let all = paths.flat_map(|(path, methods)| {
            members(methods).map(move |(method, described)| Operation {
                method,
                path,
                described,
            })
        });
        let named = all.filter(|it| it.described["tags"][0] == tag);
        named.collect::<Vec<_>>()
    };
    tags.map(|tag| (tag, of_tag(tag))).collect()
}

fn navigation(html: &mut Html, document: &Value) {
    html.raw("<nav aria-label=\"Operations\">");
    for (tag, operations) in by_tag(document) {
        html.element("p", &capitalised(tag)).raw("<ul>");
        for operation in operations {
            html.raw(&format!("<li><a href=\"#{}\">", operation.name()));
            html.text(text(&operation.described["summary"]).trim_end_matches('.'));
            html.raw("</a></li>");
        }
        html.raw("</ul>");
    }
    html.raw("</nav>");
}

fn section(html: &mut Html, document: &Value, operation: &Operation<'_>) {
    let (described, method) = (operation.described, operation.method);
    html.raw(&format!("<h3 id=\"{}\">", operation.name()));
    html.text(text(&described["summary"])).raw("</h3>");
    html.raw(&format!(
        "<p class=\"path\"><span class=\"method {method}\">{method}</span> "
    ));
    html.text(operation.path).raw("</p>");
    if let Some(notes) = described["description"].as_str() {
        html.raw("<p>").prose(notes).raw("</p>");
    }
    html.raw("<pre tabindex=\"0\" role=\"group\" aria-label=\"Example\"><code>");
    html.text(&curl(document, operation)).raw("</code></pre>");
    let parameters: Vec<&Value> = items(&described["parameters"]).collect();
    if !parameters.is_empty() {
        html.element("h4", "Parameters");
        table(html, &["Name", "In", "Type", "Meaning"], |html| {
            for parameter in parameters {
                let place = text(&parameter["in"]);
                let is_required = parameter["required"] == true && place != "path";
                let field = Row {
                    name: text(&parameter["name"]),
                    place: Some(place),
                    schema: &parameter["schema"],
                    meaning: parameter["description"]
                        .as_str()
                        .unwrap_or_else(|| meaning(document, &parameter["schema"])),
                    is_required,
                };
                field.write(html);
            }
        });
    }
    let body = &described["requestBody"]["content"]["application/json"]["schema"];
    if !body.is_null() {
        html.element("h4", "Body");
        fields(html, document, body);
    }
    responses(html, described);
}

fn responses(html: &mut Html, described: &Value) {
    html.element("h4", "Answers").raw("<ul>");
    let mut refusals = Vec::new();
    for (status, response) in members(&described["responses"]) {
        if let Some(name) = referred(response) {
            refusals.push(format!("<a href=\"#response-{name}\">{status}</a>"));
            continue;
        }
        html.raw("<li>").element("code", status);
        for (media_type, content) in members(&response["content"]) {
            html.raw(" ").element("code", media_type).raw(" ");
            html.raw(&kind(&content["schema"]));
        }
        html.raw("</li>");
    }
    if !refusals.is_empty() {
        html.raw("<li>errors: ")
            .raw(&refusals.join(", "))
            .raw("</li>");
    }
    html.raw("</ul>");
}

/// An example of a request for the command line.
fn curl(document: &Value, operation: &Operation<'_>) -> String {
    let described = operation.described;
    let mut path = operation.path.to_owned();
    for parameter in items(&described["parameters"]).filter(|it| it["in"] == "path") {
        let name = text(&parameter["name"]);
        let example = resolve(document, &parameter["schema"])["examples"][0].clone();
        let example = match text(&example) {
            "👍" => "%F0%9F%91%8D",
            example => example,
        };
        path = path.replace(&format!("{{{name}}}"), example);
    }
    let mut command = String::from("curl");
    match operation.method {
        "get" => {}
        method => command += &format!(" -X {}", method.to_uppercase()),
    }
    if described["security"][0].get("token").is_some() {
        command += " -H \"Authorization: Bearer $TOKEN\"";
    }
    let content = &described["requestBody"]["content"];
    if let Some(example) = content["application/json"].get("example") {
        command += &format!(" \\\n  -d '{example}'");
    } else if let Some((media_type, _)) = members(content).find(|(it, _)| *it != "application/json")
    {
        command += &format!(" \\\n  -H \"Content-Type: {media_type}\" --data-binary @update.bin");
    }
    let break_line = if command.len() > 4 { " \\\n  " } else { " " };
    command + &format!("{break_line}\"$SERVER{path}\"")
}

/// The fields of a component, or the values that it may have.
fn object(html: &mut Html, document: &Value, schema: &Value) {
    if let Some(about) = schema["description"].as_str() {
        html.raw("<p>").prose(about).raw("</p>");
    }
    if let Some(parts) = schema["allOf"].as_array() {
        for part in parts {
            match part.get("properties") {
                Some(_) => fields(html, document, part),
                None => {
                    html.raw("<p>All fields of ")
                        .raw(&kind(part))
                        .raw(", and:</p>");
                }
            }
        }
    } else if schema.get("properties").is_some() {
        fields(html, document, schema);
    } else {
        html.raw("<p>").raw(&kind(schema)).raw("</p>");
    }
}

fn fields(html: &mut Html, document: &Value, schema: &Value) {
    table(html, &["Field", "Type", "Meaning"], |html| {
        for (name, property) in members(&schema["properties"]) {
            let row = Row {
                name,
                place: None,
                schema: property,
                meaning: meaning(document, property),
                is_required: items(&schema["required"]).any(|it| it == name),
            };
            row.write(html);
        }
    });
}

/// A row of a table of fields.
struct Row<'a> {
    name: &'a str,
    place: Option<&'a str>,
    schema: &'a Value,
    meaning: &'a str,
    is_required: bool,
}

impl Row<'_> {
    fn write(&self, html: &mut Html) {
        html.raw("<tr><th scope=\"row\">")
            .element("code", self.name)
            .raw("</th>");
        if let Some(place) = self.place {
            html.element("td", place);
        }
        html.raw("<td>").raw(&kind(self.schema));
        html.raw(if self.is_required {
            ", required</td>"
        } else {
            "</td>"
        });
        html.raw("<td>").prose(self.meaning).raw("</td></tr>");
    }
}

fn table(html: &mut Html, head: &[&str], rows: impl FnOnce(&mut Html)) {
    html.raw("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Fields\"><table><thead><tr>");
    for title in head {
        html.raw("<th scope=\"col\">").text(title).raw("</th>");
    }
    html.raw("</tr></thead><tbody>");
    rows(html);
    html.raw("</tbody></table></div>");
}

/// The type of a schema in words, as HTML.
fn kind(schema: &Value) -> String {
    if let Some(name) = referred(schema) {
        return format!("<a href=\"#schema-{name}\">{name}</a>");
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        let kinds = choices.iter().filter(|it| it["type"] != "null").map(kind);
        return format!("{} or null", kinds.collect::<Vec<_>>().join(" or "));
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> = words
            .iter()
            .map(|it| format!("<code>{}</code>", escape(text(it))))
            .collect();
        return words.join(", ");
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(text).collect(),
        kind => vec![text(kind)],
    };
    let names = kinds.iter().map(|kind| match *kind {
        "array" => format!("list of {}", self::kind(&schema["items"])),
        "object" if schema.get("properties").is_some() => {
            let names = members(&schema["properties"])
                .map(|(name, it)| format!("<code>{name}</code>: {}", self::kind(it)));
            format!("object ({})", names.collect::<Vec<_>>().join("; "))
        }
        "" => "any value".to_owned(),
        other => other.to_owned(),
    });
    let mut words = names.collect::<Vec<_>>().join(" or ");
    for (limit, before, after) in [
        ("format", "", ""),
        ("minimum", "from ", ""),
        ("maximum", "to ", ""),
        ("maxLength", "at most ", " characters"),
        ("maxItems", "at most ", ""),
    ] {
        if let Some(value) = schema.get(limit) {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            words += &format!(", {before}{}{after}", escape(&value));
        }
    }
    words
}

/// The name of the component to which a schema or a response refers.
fn referred(value: &Value) -> Option<&str> {
    value["$ref"].as_str().and_then(|it| it.rsplit('/').next())
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let schemas = &document["components"]["schemas"];
    referred(schema).map_or(schema, |name| &schemas[name])
}

/// What the value of a field means: as it is described itself, or else its type.
fn meaning<'a>(document: &'a Value, schema: &'a Value) -> &'a str {
    let schema = items(&schema["oneOf"]).last().unwrap_or(schema);
    let own = schema["description"].as_str();
    own.unwrap_or_else(|| text(&resolve(document, schema)["description"]))
}

fn members(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members = object.as_object().into_iter().flat_map(Map::iter);
    members.map(|(name, value)| (name.as_str(), value))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A page that is being written.
#[derive(Default)]
struct Html(String);

impl Html {
    fn raw(&mut self, html: &str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        let escaped = escape(text);
        self.raw(&escaped)
    }

    /// A text in which words between backquotes are code.
    fn prose(&mut self, text: &str) -> &mut Self {
        for (nth, part) in text.split('`').enumerate() {
            match nth % 2 {
                0 => self.text(part),
                _ => self.element("code", part),
            };
        }
        self
    }

    fn element(&mut self, name: &str, text: &str) -> &mut Self {
        self.raw(&format!("<{name}>"))
            .text(text)
            .raw(&format!("</{name}>"))
    }
}
