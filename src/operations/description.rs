//! What a client may know of an operation before it asks: the fields of its request and of its
//! answer, the rights that it needs, and its errors. The doors make OpenAPI and AsyncAPI of it.
//!
//! Schemas are JSON Schema 2020-12, derived from the types that are read and written. Limits in bytes
//! are written as numbers of characters, of which a text has at most as many; `description` has the
//! exact ones.
//!
//! A description is made at the start of the server, with the routes, but its schemas only when
//! somebody asks for a document: they take megabytes, and few servers are ever asked.

use std::{collections::BTreeMap, fmt};

use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use utoipa::ToSchema;

use crate::{error::ErrorCode, store::Window};

/// Schemas by the names under which others refer to them, as text: as values they would take 40 MiB.
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

/// The schemas of an operation.
#[derive(Debug, Default)]
pub struct Schemas {
    /// The fields of a request.
    pub request: Vec<Field>,
    /// The schema of the answer, without `ok`; `None` where the answer has no fields.
    pub answer: Option<Value>,
}

/// Adds a part to the schemas of an operation, and the types to which it refers to the components.
type Part = Box<dyn Fn(&mut Schemas, &mut Components) + Send + Sync>;

/// The description of an operation.
pub struct Description {
    /// What it is about: a word by which operations are grouped.
    pub subject: &'static str,
    /// One sentence.
    pub summary: String,
    /// What a caller has to know besides.
    pub notes: Option<&'static str>,
    /// The rights that it needs, in words.
    pub needs: Option<&'static str>,
    /// Fields of a request as an example, without those by which it finds what it is about.
    pub example: Option<Value>,
    /// Its errors besides those that every request may have.
    pub errors: Vec<ErrorCode>,
    /// What its schemas are made of.
    parts: Vec<Part>,
}

/// Begins the description of an operation that is about `subject`.
pub fn about(subject: &'static str) -> Description {
    Description {
        subject,
        summary: String::new(),
        notes: None,
        needs: None,
        example: None,
        errors: Vec::new(),
        parts: Vec::new(),
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
    pub fn takes<T: ToSchema>(self) -> Self {
        self.part(|schemas, components| {
            let schema = repeatable(components.add_parts::<T>());
            let required = texts(&schema["required"]);
            let fields = schema["properties"].as_object();
            let fields = fields.expect("the type of a request is an object");
            for (name, schema) in fields {
                let required = required.contains(name);
                let schema = schema.clone();
                schemas.request.push(Field {
                    name: name.clone(),
                    schema: if required { schema } else { or_null(schema) },
                    required,
                });
            }
        })
    }

    /// Adds the fields of a request for a page of a list.
    pub fn pages(self) -> Self {
        self.takes::<Window<String>>()
    }

    /// Adds a field of the type `T` that the request must have.
    pub fn field<T: ToSchema>(self, name: &'static str) -> Self {
        self.part(move |schemas, components| {
            schemas.request.push(Field {
                name: name.to_owned(),
                schema: components.add::<T>(),
                required: true,
            });
        })
    }

    /// Adds a field of the type `T` that may be null, as which it counts when it is absent.
    pub fn optional<T: ToSchema>(self, name: &'static str) -> Self {
        self.part(move |schemas, components| {
            let required = false;
            schemas
                .request
                .push(nullable::<T>(name, required, components));
        })
    }

    /// Adds a field that the request must have, of the type `T` or null.
    pub fn nullable<T: ToSchema>(self, name: &'static str) -> Self {
        self.part(move |schemas, components| {
            let required = true;
            schemas
                .request
                .push(nullable::<T>(name, required, components));
        })
    }

    /// Says that the answer is a `T`.
    pub fn answers<T: ToSchema>(self) -> Self {
        self.part(|schemas, components| schemas.answer = Some(components.add::<T>()))
    }

    /// Says that the answer is an object with the field `name`, a `T`.
    pub fn answers_with<T: ToSchema>(self, name: &'static str) -> Self {
        self.part(move |schemas, components| {
            let schema = components.add::<T>();
            let (mut properties, required) = (Map::new(), [name]);
            properties.insert(name.to_owned(), schema);
            let answer =
                json!({ "type": "object", "properties": properties, "required": required });
            schemas.answer = Some(answer);
        })
    }

    fn part(mut self, add: impl Fn(&mut Schemas, &mut Components) + Send + Sync + 'static) -> Self {
        self.parts.push(Box::new(add));
        self
    }

    /// Makes its schemas, and adds the types to which they refer to `components`.
    pub fn schemas(&self, components: &mut Components) -> Schemas {
        let mut schemas = Schemas::default();
        for add in &self.parts {
            add(&mut schemas, components);
        }
        schemas
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

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Description");
        shown.field("subject", &self.subject);
        shown.field("summary", &self.summary);
        shown.finish_non_exhaustive()
    }
}

/// A field of the type `T` or null.
fn nullable<T: ToSchema>(name: &str, required: bool, components: &mut Components) -> Field {
    let schema = components.add::<T>();
    Field {
        name: name.to_owned(),
        schema: json!({ "oneOf": [{ "type": "null" }, schema] }),
        required,
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

/// The schema of a field that may be left out, with null as a value, which counts as absent.
fn or_null(mut schema: Value) -> Value {
    if schema.get("$ref").is_some() {
        return json!({ "oneOf": [{ "type": "null" }, schema] });
    }
    if schema.get("enum").is_none()
        && let Some(kind) = schema["type"].as_str()
    {
        schema["type"] = json!([kind, "null"]);
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
