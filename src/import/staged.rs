//! The content of one document of the source, checked and in memory.

use bytes::Bytes;

use super::{contents::Contents, refusal::Refusal};
use crate::{config::Limits, id::ClientId};
use document::{ApplyError, Document, PendingLimits, StateVector};

/// A document of the source.
pub(super) struct Staged {
    /// A replica of it.
    pub(super) document: Document,
    /// All of it, what is pending included, as one update.
    pub(super) state: Bytes,
    /// The client ids whose elements it has, each with its first clock.
    pub(super) clients: Vec<(ClientId, u32)>,
    /// What is not imported besides the content.
    pub(super) besides: Vec<String>,
}

impl Staged {
    /// Applies the updates to an empty document.
    pub(super) fn new(contents: Contents, limits: &Limits) -> Result<Self, Refusal> {
        let mut document = empty_document(limits);
        for (place, update) in contents.updates.iter().enumerate() {
            let refused =
                |reason: String| Refusal::Damaged(format!("its update {} {reason}", place + 1));
            apply(&mut document, update).map_err(refused)?;
        }
        if let Some(expected) = &contents.state_vector {
            check_complete(&document, expected)?;
        }
        let state = document.encode().map_err(|_| Refusal::Panicked)?;
        if state.len() > limits.document_bytes_max {
            return Err(Refusal::TooLarge {
                setting: "DOCUMENT_BYTES_MAX",
                bytes: state.len(),
            });
        }
        if document.memory_bytes() > limits.document_memory_bytes_max {
            return Err(Refusal::TooLarge {
                setting: "DOCUMENT_MEMORY_BYTES_MAX",
                bytes: document.memory_bytes(),
            });
        }
        let checked = document::validate(&state).map_err(|_| Refusal::Panicked)?;
        let advances = checked.advances.iter();
        Ok(Self {
            clients: advances.map(|of| (of.client, of.from)).collect(),
            state: state.into(),
            document,
            besides: contents.besides,
        })
    }
}

/// A document without content.
pub(super) fn empty_document(limits: &Limits) -> Document {
    Document::new(PendingLimits {
        updates_max: limits.pending_updates_max,
        bytes_max: limits.pending_bytes_max,
    })
}

/// Applies an update that was accepted before; the error says what is wrong with it.
pub(super) fn apply(document: &mut Document, update: &[u8]) -> Result<document::Applied, String> {
    let checked = document::validate(update)
        .map_err(|malformed| format!("is not one that this server accepts: {malformed}"))?;
    document
        .restore(update, &checked)
        .map_err(|error| match error {
            ApplyError::Panicked => "cannot be integrated".into(),
            error => format!("cannot be applied: {error}"),
        })
}

/// Refuses a document that lacks some of what its source says that it has.
fn check_complete(document: &Document, expected: &StateVector) -> Result<(), Refusal> {
    let lacking = expected
        .iter()
        .find(|(client, clock)| document.clock(*client) < *clock);
    let Some((client, expected)) = lacking else {
        return Ok(());
    };
    let found = document.clock(client);
    Err(Refusal::Damaged(format!(
        "updates are missing: by its state vector it has {expected} elements of the client {client}, its updates have {found}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inserts `x` behind `clock` elements of the client 1.
    fn insertion(clock: u8) -> Bytes {
        let first = vec![1, 1, 1, 0, 4, 1, 1, b't', 1, b'x', 0];
        let later = vec![1, 1, 1, clock, 0x84, 1, clock.wrapping_sub(1), 1, b'x', 0];
        Bytes::from(if clock == 0 { first } else { later })
    }

    fn stage(updates: &[Bytes], state_vector: Option<&[u8]>) -> Result<Staged, Refusal> {
        let contents = Contents {
            updates: updates.to_vec(),
            state_vector: state_vector.map(|bytes| StateVector::decode(bytes).expect("valid")),
            besides: Vec::new(),
        };
        Staged::new(contents, &Limits::default())
    }

    #[test]
    fn a_document_that_lacks_what_its_state_vector_says_is_damaged() {
        let updates = [insertion(0), insertion(1)];
        assert!(stage(&updates, Some(&[1, 1, 2])).is_ok());
        assert!(stage(&updates, None).is_ok());
        assert!(matches!(
            stage(&updates, Some(&[1, 1, 3])),
            Err(Refusal::Damaged(_))
        ));
    }

    #[test]
    fn elements_that_wait_for_others_are_kept() {
        let staged = stage(&[insertion(0), insertion(2)], None).expect("valid");
        assert!(staged.document.has_pending());
        let checked = document::validate(&staged.state).expect("valid");
        assert_eq!(checked.advances[0].to, 3);
        assert!(stage(&[], None).is_ok_and(|staged| *staged.state == [0, 0]));
        assert!(stage(&[Bytes::from_static(&[9])], None).is_err());
    }
}
