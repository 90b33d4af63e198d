//! `GET /api/v1/openapi.json` and, for people, `GET /api/v1/docs`: the HTTP interface as an OpenAPI document, made of the descriptions
//! with which the routes are served.
//!
//! The document is the same for everybody and needs no token.

mod page;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use axum::{
    extract::State,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{
    ErrorBody, Parts,
    endpoint::{Access, Endpoint, JSON, Routes},
    refuse, status,
};
use crate::{
    error::{Error, ErrorCode},
    operations::{
        AddComponents, Components, Description, Field, KEY, Schemas, about, without_null,
    },
    supervise::Task,
};

/// The media type of the page, which is in UTF-8 by its first element.
const HTML: &str = "text/html";
/// The version of OpenAPI whose rules the document follows.
const VERSION: &str = "3.1.0";
const ABOUT: &str = "Documents that several people edit at once: their list, their content, comments on them, \
    who is present, notifications, and the workflow. The same functions are requests on a socket.\n\n\
    Every request needs a token (`Authorization: Bearer …`), from which the team, the person and the rights follow; \
    a room is the name of a document within the team. An error is `{ \"error\": { \"code\", \"message\", \"retryable\" } }`. \
    Times are RFC 3339 in UTC. A field that is null counts as absent. Lists have pages: `cursor` is the `next_cursor` of \
    the page before. No answer may be cached.";
/// The errors that every request with a token may have.
const OF_ALL: &[ErrorCode] = &[
    ErrorCode::Unauthorized,
    ErrorCode::TokenExpired,
    ErrorCode::SessionRevoked,
    ErrorCode::RateLimited,
    ErrorCode::StorageUnavailable,
    ErrorCode::Overloaded,
    ErrorCode::Draining,
    ErrorCode::Internal,
];
/// Codes that only sockets are answered with.
const NOT_BY_HTTP: &[ErrorCode] = &[ErrorCode::TooManyRooms, ErrorCode::TooManyConnections];

/// The documents as they are served.
struct Documents {
    openapi: Bytes,
    asyncapi: Bytes,
    page: Bytes,
}

/// Adds the routes of the documents, which are described as well. `asyncapi` makes the description of
/// sockets. The documents are made at the first request for one of them.
pub(super) fn describe(mut routes: Routes, asyncapi: fn() -> Value) -> Routes {
    let own = |path, name, summary| {
        let description = about("descriptions").summary(summary);
        Endpoint::new(Method::GET, path, name, description).access(Access::Public)
    };
    let own = [
        own(
            "/api/v1/openapi.json",
            "openapi_get",
            "Describes the HTTP interface, as an OpenAPI document.",
        ),
        own(
            "/api/v1/asyncapi.json",
            "asyncapi_get",
            "Describes the requests and events of sockets, as an AsyncAPI document.",
        ),
        own(
            "/api/v1/docs",
            "docs_get",
            "Describes the HTTP interface, as a page.",
        )
        .gives(HTML),
    ]
    .map(Arc::new);
    let endpoints: Vec<_> = routes.endpoints.iter().chain(&own).cloned().collect();
    let documents = Arc::new(LazyLock::new(move || {
        let document = document(&endpoints);
        Documents {
            openapi: document.to_string().into(),
            asyncapi: asyncapi().to_string().into(),
            page: page::render(&document).into(),
        }
    }));
    type Part = fn(&Documents) -> &Bytes;
    let parts: [Part; 3] = [|it| &it.openapi, |it| &it.asyncapi, |it| &it.page];
    for (endpoint, part) in own.into_iter().zip(parts) {
        let (documents, media_type) = (Arc::clone(&documents), endpoint.gives);
        let handler = async move |State(parts): State<Parts>| {
            let read = move || part(&documents).clone();
            match parts.supervisor.blocking(Task::HttpRequest, read).await {
                Some(document) => answer(media_type, document),
                None => refuse(&Error::Internal),
            }
        };
        routes = routes.add(endpoint, handler);
    }
    routes
}

/// The answer with a document.
fn answer(media_type: &'static str, document: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    if media_type != HTML {
        return (headers, document).into_response();
    }
    let policy = page::content_security_policy();
    let policy = [(header::CONTENT_SECURITY_POLICY, policy)];
    (headers, policy, document).into_response()
}

/// The document that describes `endpoints`.
fn document(endpoints: &[Arc<Endpoint>]) -> Value {
    let mut components = Components::new();
    components.add::<ErrorBody<'_>>();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut tags: Vec<&str> = Vec::new();
    for endpoint in endpoints {
        let description = &endpoint.description;
        let schemas = description.schemas(&mut components);
        let method = endpoint.method.as_str().to_lowercase();
        let methods = paths.entry(endpoint.path).or_default();
        methods.insert(method, operation(endpoint, &schemas));
        if !tags.contains(&description.subject) {
            tags.push(description.subject);
        }
    }
    let tags: Vec<Value> = tags.iter().map(|tag| json!({ "name": tag })).collect();
    json!({
        "openapi": VERSION,
        "info": {
            "title": "Realtime Server",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": refusals(),
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A token of the main service.",
                },
                "metrics": {
                    "type": "http", "scheme": "bearer",
                    "description": "The METRICS_TOKEN of the server, where one is configured.",
                },
            },
        },
    })
}

fn operation(endpoint: &Endpoint, schemas: &Schemas) -> Value {
    let description = &endpoint.description;
    let mut notes: Vec<String> = description.notes.iter().map(|&it| it.to_owned()).collect();
    if let Some(rights) = description.needs {
        notes.push(format!("Needs: {rights}."));
    }
    let is_in_path = |field: &&Field| endpoint.path.contains(&format!("{{{}}}", field.name));
    let (in_path, others): (Vec<&Field>, Vec<&Field>) =
        schemas.request.iter().partition(is_in_path);
    let in_path = in_path.into_iter().map(|field| parameter("path", field));
    let mut parameters: Vec<Value> = in_path.collect();
    let mut operation = json!({
        "operationId": endpoint.name,
        "tags": [description.subject],
        "summary": description.summary,
        "responses": responses(endpoint, schemas),
        "security": match endpoint.access {
            Access::Token => json!([{ "token": [] }]),
            Access::Metrics => json!([{}, { "metrics": [] }]),
            Access::Public => json!([]),
        },
    });
    if endpoint.method == Method::GET {
        // A query has texts only.
        let is_text = |field: &&Field| !is_list(&field.schema);
        let in_query = others.into_iter().filter(is_text);
        parameters.extend(in_query.map(|field| parameter("query", field)));
    } else {
        let (keys, fields): (Vec<&Field>, Vec<&Field>) =
            others.into_iter().partition(|field| field.name == KEY);
        parameters.extend(keys.into_iter().map(idempotency_key));
        if let Some(body) = body(endpoint, &fields) {
            operation["requestBody"] = body;
        }
    }
    if !notes.is_empty() {
        operation["description"] = notes.join(" ").into();
    }
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    operation
}

fn is_list(schema: &Value) -> bool {
    let is_array = |kind: &Value| kind == "array";
    let kinds = &schema["type"];
    is_array(kinds)
        || kinds
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(is_array))
}

fn parameter(place: &str, field: &Field) -> Value {
    let mut schema = without_null(field.schema.clone());
    let description = schema
        .as_object_mut()
        .and_then(|it| it.remove("description"));
    let mut parameter = json!({
        "name": field.name, "in": place, "schema": schema, "required": field.required,
    });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter
}

fn idempotency_key(field: &Field) -> Value {
    let field = Field {
        name: "Idempotency-Key".to_owned(),
        ..field.clone()
    };
    parameter("header", &field)
}

fn body(endpoint: &Endpoint, fields: &[&Field]) -> Option<Value> {
    let media_type = endpoint.takes;
    if media_type != JSON {
        let content = json!({ media_type: { "schema": { "type": "string", "format": "binary" } } });
        return Some(json!({ "required": true, "content": content }));
    }
    if fields.is_empty() {
        return None;
    }
    let is_required = fields.iter().any(|field| field.required);
    let schema = Description::object(fields.iter().copied());
    let mut content = json!({ "schema": schema });
    if let Some(example) = &endpoint.description.example {
        content["example"] = example.clone();
    }
    Some(json!({ "required": is_required, "content": { JSON: content } }))
}

fn responses(endpoint: &Endpoint, schemas: &Schemas) -> Value {
    let mut responses = Map::new();
    for success in &endpoint.statuses {
        let schema = match endpoint.gives {
            JSON => schemas
                .answer
                .clone()
                .unwrap_or(json!({ "type": "object" })),
            _ => json!({ "type": "string" }),
        };
        let reason = success.canonical_reason().unwrap_or_default();
        let content = json!({ endpoint.gives: { "schema": schema } });
        let response = json!({ "description": reason, "content": content });
        responses.insert(success.as_str().to_owned(), response);
    }
    for code in errors(endpoint, schemas) {
        let status = status(code);
        let name = response_name(status);
        let reference = json!({ "$ref": format!("#/components/responses/{name}") });
        responses.entry(status.as_str()).or_insert(reference);
    }
    responses.into()
}

fn errors(endpoint: &Endpoint, schemas: &Schemas) -> Vec<ErrorCode> {
    let mut errors = endpoint.description.errors.clone();
    let writes = endpoint.method != Method::GET;
    if endpoint.access == Access::Token {
        errors.extend(OF_ALL);
        if writes || !schemas.request.is_empty() {
            errors.push(ErrorCode::Invalid);
        }
        if writes {
            errors.push(ErrorCode::TooLarge);
        }
    }
    errors
}

/// The name of the response with this status.
fn response_name(status: StatusCode) -> String {
    status
        .canonical_reason()
        .unwrap_or_default()
        .replace(' ', "")
}

/// For each status of an error, its response.
fn refusals() -> Value {
    let mut codes: BTreeMap<StatusCode, Vec<ErrorCode>> = BTreeMap::new();
    for code in ErrorCode::ALL
        .iter()
        .filter(|code| !NOT_BY_HTTP.contains(code))
    {
        codes.entry(status(*code)).or_default().push(*code);
    }
    let refusals = codes.into_iter().map(|(status, codes)| {
        let meanings = codes
            .iter()
            .map(|code| format!("`{}`: {}", code.name(), code.meaning().trim()));
        let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
        let code = json!({ "properties": { "code": { "enum": names } } });
        let body = json!({ "$ref": "#/components/schemas/ErrorBody" });
        let schema = json!({ "allOf": [body, { "properties": { "error": code } }] });
        let mut refusal = json!({
            "description": meanings.collect::<Vec<_>>().join(" "),
            "content": { JSON: { "schema": schema } },
        });
        if let Some((header, schema)) = header_of(status) {
            refusal["headers"] = json!({ header: { "schema": schema } });
        }
        (response_name(status), refusal)
    });
    refusals.collect::<Map<String, Value>>().into()
}

/// The header that an error of this status has besides.
fn header_of(status: StatusCode) -> Option<(&'static str, Value)> {
    match status {
        StatusCode::UNAUTHORIZED => Some(("WWW-Authenticate", json!({ "const": "Bearer" }))),
        StatusCode::TOO_MANY_REQUESTS => {
            let seconds = json!({ "type": "integer", "description": "Seconds to wait." });
            Some(("Retry-After", seconds))
        }
        _ => None,
    }
}
