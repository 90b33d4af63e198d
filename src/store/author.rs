//! Who owns a Yjs client id of a document.
//!
//! Written in the group commit that brings the first update of the client id, so
//! that what an acknowledged update claims is as durable as the update itself.
//! Nothing changes an owner afterwards.

use crate::id::{ClientId, Timestamp, UserId};

/// A person's claim to a client id of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The Yjs client id, at most 2^53 - 1.
    pub client: ClientId,
    /// The person.
    pub user: UserId,
    /// The first clock of the client id that came from this person.
    pub first_clock: u32,
    /// When it came.
    pub since: Timestamp,
}
