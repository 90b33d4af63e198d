//! The operations of edits, their targets and their contents.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Formatting of a text: from attributes to their values. Null takes an attribute away.
pub type Attributes = BTreeMap<String, Value>;

/// One change of a document's content.
///
/// Positions and lengths count as in Yjs: units of UTF-16 in a text, where an embed or a type
/// counts 1; values in an array; children in an XML fragment or element. In an edit of several
/// operations, each counts in what those before it have left.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Inserts text into a text or an XML text.
    InsertText {
        /// The text.
        target: Target,
        /// Before which position.
        at: Position,
        /// The characters; if there are none, nothing happens.
        text: String,
        /// Its formatting; `None` for that of the character left of it.
        #[serde(default)]
        attributes: Option<Attributes>,
    },
    /// Inserts an embed or a type, which counts as one character, into a text or an XML text.
    /// Lexical keeps its paragraphs in this way.
    InsertEmbed {
        /// The text.
        target: Target,
        /// Before which position.
        at: Position,
        /// The content.
        content: Content,
        /// Its formatting.
        #[serde(default)]
        attributes: Attributes,
    },
    /// Formats a range of a text or an XML text.
    FormatText {
        /// The text.
        target: Target,
        /// The first position.
        at: u32,
        /// How many positions.
        len: u32,
        /// The attributes to set, or to take away.
        attributes: Attributes,
    },
    /// Deletes a range of a text or an XML text.
    DeleteText {
        /// The text.
        target: Target,
        /// The first position.
        at: u32,
        /// How many positions.
        len: u32,
    },
    /// Sets a key of a map.
    SetKey {
        /// The map.
        target: Target,
        /// The key.
        key: String,
        /// Its new content.
        content: Content,
    },
    /// Removes a key of a map; if there is none, nothing happens.
    RemoveKey {
        /// The map.
        target: Target,
        /// The key.
        key: String,
    },
    /// Inserts into an array.
    InsertValues {
        /// The array.
        target: Target,
        /// Before which position.
        at: Position,
        /// The content.
        contents: Vec<Content>,
    },
    /// Deletes a range of an array.
    DeleteValues {
        /// The array.
        target: Target,
        /// The first position.
        at: u32,
        /// How many positions.
        len: u32,
    },
    /// Inserts children (XML elements and XML texts) into an XML fragment or an XML element.
    InsertNodes {
        /// The fragment or the element.
        target: Target,
        /// Before which position.
        at: Position,
        /// The content.
        nodes: Vec<Content>,
    },
    /// Deletes children of an XML fragment or an XML element.
    DeleteNodes {
        /// The fragment or the element.
        target: Target,
        /// The first position.
        at: u32,
        /// How many positions.
        len: u32,
    },
    /// Sets an attribute of an XML element or an XML text.
    SetAttribute {
        /// The element or the text.
        target: Target,
        /// The attribute.
        name: String,
        /// Its new value.
        value: Value,
    },
    /// Removes an attribute of an XML element or an XML text; if there is none, nothing happens.
    RemoveAttribute {
        /// The element or the text.
        target: Target,
        /// The attribute.
        name: String,
    },
}

/// The type that an operation changes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The name of a root type.
    pub root: String,
    /// The way from there to a type within it; without any step, the root itself.
    #[serde(default)]
    pub path: Vec<Step>,
}

impl Target {
    /// A root type.
    pub fn root(name: &str) -> Self {
        Self {
            root: name.to_owned(),
            path: Vec::new(),
        }
    }

    /// The type at `position` in this one.
    pub fn index(mut self, position: u32) -> Self {
        self.path.push(Step::Index(position));
        self
    }

    /// The type under `key` of this one.
    pub fn key(mut self, key: &str) -> Self {
        self.path.push(Step::Key(key.to_owned()));
        self
    }
}

/// One step from a type to one that it holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// To the one at this position.
    Index(u32),
    /// To the one under this key.
    Key(String),
}

/// Where something is inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Position {
    /// Before the element at this position, or behind the last one.
    At(u32),
    /// Behind the last one.
    End,
}

/// Content that is put into a type.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// A JSON value, which can only be replaced as a whole.
    Value(Value),
    /// A new array.
    Array(Vec<Content>),
    /// A new map.
    Map(BTreeMap<String, Content>),
    /// A new text.
    Text(Vec<TextPart>),
    /// A new XML fragment, with its children.
    XmlFragment(Vec<Content>),
    /// A new XML element.
    XmlElement {
        /// Its name.
        name: String,
        /// Its attributes.
        #[serde(default)]
        attributes: BTreeMap<String, Value>,
        /// Its children.
        #[serde(default)]
        children: Vec<Content>,
    },
    /// A new XML text.
    XmlText {
        /// Its own attributes, which are not the formatting of its parts.
        #[serde(default)]
        attributes: BTreeMap<String, Value>,
        /// Its parts.
        #[serde(default)]
        parts: Vec<TextPart>,
    },
}

/// A part of a new text.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TextPart {
    /// Characters.
    Text {
        /// The characters.
        text: String,
        /// Their formatting.
        #[serde(default)]
        attributes: Attributes,
    },
    /// An embed or a type.
    Embed {
        /// The embed or the type.
        content: Content,
        /// Its formatting.
        #[serde(default)]
        attributes: Attributes,
    },
}

impl TextPart {
    /// Characters without formatting.
    pub fn plain(text: &str) -> Self {
        Self::Text {
            text: text.to_owned(),
            attributes: Attributes::new(),
        }
    }
}

impl Content {
    /// A paragraph of plain text as ProseMirror and Tiptap keep it: a child of their fragment.
    pub fn paragraph(text: &str) -> Self {
        let text = (!text.is_empty()).then(|| Content::XmlText {
            attributes: BTreeMap::new(),
            parts: vec![TextPart::plain(text)],
        });
        Self::XmlElement {
            name: "paragraph".to_owned(),
            attributes: BTreeMap::new(),
            children: text.into_iter().collect(),
        }
    }
}
