//! The requests and events of sockets as an AsyncAPI document, which HTTP serves at
//! `/api/v1/asyncapi.json`. Requests of features have the same descriptions as by HTTP.

mod events;
mod requests;

use serde_json::{Map, Value, json};

use self::{events::events, requests::requests};
use super::protocol::{Refusal, request};
use crate::{
    error::ErrorCode,
    operations::{AddComponents, Components, Description, Field, Schemas},
};

/// The version of AsyncAPI whose rules the document follows.
const VERSION: &str = "3.0.0";
const ABOUT: &str = "Socket.IO 5 (socket.io-client 4), namespace `/`. Every request is answered by its \
    acknowledgement; `request_error` tells of a request without one that failed. Bytes are binary \
    attachments. docs/protocol.md has the rules of rooms, updates and acknowledgements.";
/// The errors that every request may have.
const OF_ALL: &[ErrorCode] = &[
    ErrorCode::Invalid,
    ErrorCode::RateLimited,
    ErrorCode::StorageUnavailable,
    ErrorCode::Overloaded,
    ErrorCode::Draining,
    ErrorCode::Internal,
];

/// The document.
pub fn document() -> Value {
    let mut components = Components::new();
    let refusal = components.add::<Refusal<'_>>();
    let (mut messages, mut operations) = (Map::new(), Map::new());
    for (name, description) in requests() {
        let schemas = description.schemas(&mut components);
        let (asks, acks) = (format!("request.{name}"), format!("ack.{name}"));
        operations.insert(
            asks.clone(),
            json!({
                "action": "receive",
                "channel": channel(),
                "summary": description.summary,
                "description": notes(&description),
                "tags": [{ "name": description.subject }],
                "messages": [in_channel(&asks)],
                "reply": { "channel": channel(), "messages": [in_channel(&acks)] },
            }),
        );
        let payload = Description::object(schemas.request.iter());
        let mut asked = message(name, &description.summary, payload);
        if let Some(example) = example(&description, &schemas, &components) {
            asked["examples"] = json!([{ "payload": example }]);
        }
        messages.insert(asks, asked);
        let answer = json!({ "oneOf": [success(name, &schemas), refusal] });
        messages.insert(acks, message(name, "The acknowledgement.", answer));
    }
    for sent in events(&mut components) {
        let key = format!("event.{}", sent.name);
        operations.insert(
            key.clone(),
            json!({
                "action": "send",
                "channel": channel(),
                "summary": sent.summary,
                "messages": [in_channel(&key)],
            }),
        );
        messages.insert(key, message(sent.name, sent.summary, sent.payload));
    }
    let references = messages.keys().map(|key| {
        (
            key.clone(),
            json!({ "$ref": format!("#/components/messages/{key}") }),
        )
    });
    let references: Map<String, Value> = references.collect();
    json!({
        "asyncapi": VERSION,
        "info": {
            "title": "Realtime Server",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "MIT" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "server": {
                "host": "{host}", "pathname": "/socket.io", "protocol": "socketio",
                "variables": { "host": { "default": "localhost:3001" } },
                "security": [{ "$ref": "#/components/securitySchemes/token" }],
            },
        },
        "channels": { "socket": { "address": "/", "messages": references } },
        "operations": operations,
        "components": {
            "schemas": components,
            "messages": messages,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
            },
        },
    })
}

fn notes(description: &Description) -> String {
    let mut notes: Vec<String> = description.notes.iter().map(|&it| it.to_owned()).collect();
    notes.extend(description.needs.map(|rights| format!("Needs: {rights}.")));
    let errors = description
        .errors
        .iter()
        .chain(OF_ALL)
        .map(|code| format!("`{}`", code.name()));
    let errors: Vec<String> = errors.collect();
    notes.push(format!("Errors: {}.", errors.join(", ")));
    notes.join(" ")
}

/// The payload of an example: the fields of the description, and those by which the request finds what
/// it is about.
fn example(description: &Description, schemas: &Schemas, components: &Components) -> Option<Value> {
    let mut example = description.example.clone()?;
    for Field {
        name,
        schema,
        required,
    } in &schemas.request
    {
        if *required && example.get(name).is_none() {
            let component = schema["$ref"]
                .as_str()
                .and_then(|it| it.rsplit('/').next())?;
            let component = components.get(component)?.get();
            let component: Value = serde_json::from_str(component).ok()?;
            example[name] = component["examples"][0].clone();
        }
    }
    Some(example)
}

/// The acknowledgement of a request that succeeded.
fn success(name: &str, schemas: &Schemas) -> Value {
    let ok =
        json!({ "type": "object", "properties": { "ok": { "const": true } }, "required": ["ok"] });
    if name == request::DOCUMENT_UPDATE {
        let pending = json!({ "properties": { "pending": { "type": "boolean" } } });
        return json!({ "allOf": [ok, schemas.answer, pending] });
    }
    match &schemas.answer {
        Some(answer) => json!({ "allOf": [ok, answer] }),
        None => ok,
    }
}

fn message(name: &str, summary: &str, payload: Value) -> Value {
    json!({ "name": name, "summary": summary, "payload": payload })
}

fn channel() -> Value {
    json!({ "$ref": "#/channels/socket" })
}

fn in_channel(key: &str) -> Value {
    json!({ "$ref": format!("#/channels/socket/messages/{key}") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{operations::Operation, socket::protocol::event};

    #[test]
    fn every_name_of_the_protocol_is_described() {
        let names = |all: &[(&'static str, &str)]| {
            all.iter().map(|(name, _)| *name).collect::<BTreeSet<_>>()
        };
        let described: BTreeSet<&str> = requests().iter().map(|(name, _)| *name).collect();
        let operations = Operation::ALL
            .iter()
            .map(|it| it.name())
            .collect::<BTreeSet<_>>();
        assert_eq!(described, &names(request::ALL) | &operations);
        let sent = events(&mut Components::new());
        let sent: BTreeSet<&str> = sent.iter().map(|it| it.name).collect();
        assert!(sent.is_superset(&names(event::ALL)), "{sent:?}");
    }
}
