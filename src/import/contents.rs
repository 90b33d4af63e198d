//! What a source has: documents by their names, and the content of each.

use bytes::Bytes;
use document::StateVector;

/// The content of one document, as the source has it.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Updates of encoding v1, in the order in which they were written.
    pub(super) updates: Vec<Bytes>,
    /// What the updates have to contain at least, where the source says so.
    pub(super) state_vector: Option<StateVector>,
    /// What the source has of the document besides its content, and which is not imported.
    pub(super) besides: Vec<String>,
}

/// The documents of a source.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The names of all documents that were found, each once, or an entry without a name.
    pub(super) names: Vec<Name>,
    /// Parts of the source that cannot be read, where documents may have been.
    pub(super) damages: Vec<String>,
}

/// The name of a document in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    /// Its name.
    Is(String),
    /// What has content, but no name by which it is found; and why.
    Unreadable(String, &'static str),
}
