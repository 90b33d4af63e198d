//! What a client may know of an operation before it asks: the fields of its request and of its
//! answer, the rights that it needs, and its errors. The doors make OpenAPI and AsyncAPI of it.
//!
//! Schemas are JSON Schema 2020-12, derived from the types that are read and written. Limits in bytes
//! are written as numbers of characters, of which a text has at most as many; `description` has the
//! exact ones.

use std::collections::BTreeMap;

use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use utoipa::ToSchema;

use crate::{error::ErrorCode, store::Window};

/// Schemas by the names under which others refer to them, as text: as values they would take 40 MiB
/// at the start of the server.
pub type Components = BTreeMap<String, Box<RawValue>>;

/// Where a reference finds its schema, in OpenAPI and in AsyncAPI.
const COMPONENTS: &str = "#/components/schemas/";

/// A field of a request.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The schema of its value. A field that is null counts as absent.
    pub schema: Value,
    /// Whether a request without it is `invalid`.
    pub required: bool,
}

/// The description of an operation.
#[derive(Clone, Debug)]
pub struct Description {
    /// What it is about: a word by which operations are grouped.
    pub subject: &'static str,
    /// One sentence.
    pub summary: String,
    /// What a caller has to know besides.
    pub notes: Option<&'static str>,
    /// The rights that it needs, in words.
    pub needs: Option<&'static str>,
    /// The fields of a request.
    pub request: Vec<Field>,
    /// Fields of a request as an example, without those by which it finds what it is about.
    pub example: Option<Value>,
    /// The schema of the answer, without `ok`; `None` where the answer has no fields.
    pub answer: Option<Value>,
    /// Its errors besides those that every request may have.
    pub errors: Vec<ErrorCode>,
    /// The schemas to which the others refer.
    pub components: Components,
}

/// Begins the description of an operation that is about `subject`.
pub fn about(subject: &'static str) -> Description {
    Description {
        subject,
        summary: String::new(),
        notes: None,
        needs: None,
        request: Vec::new(),
        example: None,
        answer: None,
        errors: Vec::new(),
        components: Components::new(),
    }
}

impl Description {
    /// Adds the summary.
    pub fn summary(mut self, summary: &str) -> Self {
        self.summary = summary.trim().to_owned();
        self
    }

    /// Adds notes.
    pub fn notes(mut self, notes: &'static str) -> Self {
        self.notes = Some(notes);
        self
    }

    /// Adds the rights that are needed.
    pub fn needs(mut self, rights: &'static str) -> Self {
        self.needs = Some(rights);
        self
    }

    /// Adds an example of a request, without the fields by which it finds what it is about.
    pub fn example(mut self, fields: Value) -> Self {
        self.example = Some(fields);
        self
    }

    /// Adds errors.
    pub fn fails(mut self, errors: &[ErrorCode]) -> Self {
        self.errors.extend(errors);
        self
    }

    /// Adds the fields of a `T` to the request.
    pub fn takes<T: ToSchema>(mut self) -> Self {
        let schema = repeatable(self.components.add_parts::<T>());
        let required = texts(&schema["required"]);
        let fields = schema["properties"].as_object();
        let fields = fields.expect("the type of a request is an object");
        self.request
            .extend(fields.iter().map(|(name, schema)| Field {
                name: name.clone(),
                schema: schema.clone(),
                required: required.contains(name),
            }));
        self
    }

    /// Adds the fields of a request for a page of a list.
    pub fn pages(self) -> Self {
        self.takes::<Window<String>>()
    }

    /// Adds a field of the type `T` that the request must have.
    pub fn field<T: ToSchema>(mut self, name: &str) -> Self {
        self.request.push(Field {
            name: name.to_owned(),
            schema: self.components.add::<T>(),
            required: true,
        });
        self
    }

    /// Adds a field of the type `T` that may be null, as which it counts when it is absent.
    pub fn optional<T: ToSchema>(self, name: &str) -> Self {
        let mut with = self.nullable::<T>(name);
        with.request.last_mut().expect("the new field").required = false;
        with
    }

    /// Adds a field that the request must have, of the type `T` or null.
    pub fn nullable<T: ToSchema>(mut self, name: &str) -> Self {
        let schema = self.components.add::<T>();
        self.request.push(Field {
            name: name.to_owned(),
            schema: json!({ "oneOf": [{ "type": "null" }, schema] }),
            required: true,
        });
        self
    }

    /// Says that the answer is a `T`.
    pub fn answers<T: ToSchema>(mut self) -> Self {
        self.answer = Some(self.components.add::<T>());
        self
    }

    /// Says that the answer is an object with the field `name`, a `T`.
    pub fn answers_with<T: ToSchema>(mut self, name: &str) -> Self {
        let schema = self.components.add::<T>();
        let (mut properties, required) = (Map::new(), [name]);
        properties.insert(name.to_owned(), schema);
        let answer = json!({ "type": "object", "properties": properties, "required": required });
        self.answer = Some(answer);
        self
    }

    /// The schema of these fields as an object.
    pub fn object<'a>(fields: impl Iterator<Item = &'a Field>) -> Value {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        for field in fields {
            properties.insert(field.name.clone(), field.schema.clone());
            required.extend(field.required.then_some(&field.name));
        }
        let mut object = json!({ "type": "object", "properties": properties });
        if !required.is_empty() {
            object["required"] = json!(required);
        }
        object
    }
}

/// Adds types to [`Components`].
pub trait AddComponents {
    /// Adds `T` and the types that it has; returns the schema that refers to it.
    fn add<T: ToSchema>(&mut self) -> Value;

    /// Adds the types that `T` has, but not itself; returns its own schema.
    fn add_parts<T: ToSchema>(&mut self) -> Value;
}

impl AddComponents for Components {
    fn add<T: ToSchema>(&mut self) -> Value {
        let schema = self.add_parts::<T>();
        let name = T::name();
        self.insert(name.clone().into_owned(), text(&without_null(schema)));
        json!({ "$ref": format!("{COMPONENTS}{name}") })
    }

    fn add_parts<T: ToSchema>(&mut self) -> Value {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        for (name, schema) in parts {
            self.insert(name, text(&without_null(on_one_line(json!(schema)))));
        }
        on_one_line(json!(T::schema()))
    }
}

fn text(schema: &Value) -> Box<RawValue> {
    to_raw_value(schema).expect("a value is JSON")
}

/// The schema without null as a value: the server leaves out what has no value, and takes null only
/// for a field of a request itself.
pub fn without_null(mut schema: Value) -> Value {
    let is_null = |schema: &Value| schema == "null" || schema["type"] == "null";
    match &mut schema {
        Value::Object(members) => {
            for name in ["type", "oneOf"] {
                let Some(Value::Array(choices)) = members.get_mut(name) else {
                    continue;
                };
                choices.retain(|choice| !is_null(choice));
                if let ("type", [only]) = (name, choices.as_slice()) {
                    members["type"] = only.clone();
                }
            }
            let is_single = |choices: &Value| choices.as_array().is_some_and(|it| it.len() == 1);
            if members.get("oneOf").is_some_and(is_single) {
                let choices = members.remove("oneOf").unwrap_or_default();
                if let Value::Object(only) = choices[0].clone() {
                    members.extend(only);
                }
            }
            for member in members.values_mut() {
                *member = without_null(member.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_null(item.take());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    schema
}

/// The schema of a request in which the items of a list may be repeated: each counts once.
fn repeatable(mut schema: Value) -> Value {
    let properties = schema["properties"].as_object_mut().into_iter().flatten();
    for (_, property) in properties {
        if let Some(members) = property.as_object_mut() {
            members.remove("uniqueItems");
        }
    }
    schema
}

/// The schema with each description on one line, which a comment of the code is not.
fn on_one_line(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            for (name, member) in members {
                *member = match member.take() {
                    Value::String(text) if name == "description" => text.replace('\n', " ").into(),
                    other => on_one_line(other),
                };
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = on_one_line(item.take());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    schema
}

fn texts(list: &Value) -> Vec<String> {
    let texts = list.as_array().into_iter().flatten();
    texts.filter_map(Value::as_str).map(str::to_owned).collect()
}
