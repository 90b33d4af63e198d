//! The requests that this door sends to rooms, by the name in their ticket, and what they are about.

use crate::room::Ticket;

/// Becomes a member.
pub(super) const JOIN: &str = "join";
/// The client has asked for what it lacks.
pub(super) const STEP_1: &str = "step_1";
/// The server is to ask the client for what it lacks itself.
pub(super) const ASK: &str = "ask";
/// The client has asked for awareness states.
pub(super) const QUERY_AWARENESS: &str = "query_awareness";
/// A change of the document.
pub(super) const UPDATE: &str = "update";
/// The change of the document with which the client synchronises.
pub(super) const STEP_2: &str = "step_2";
/// A change of the document for which the server has asked by itself.
pub(super) const ANSWER: &str = "answer";
/// A change of awareness states.
pub(super) const AWARENESS: &str = "awareness";

/// A message to the others.
pub(super) const STATELESS: &str = "stateless";

/// The protocol of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    YWebsocket,
    Hocuspocus,
}

/// Why a client was asked for what the server lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// It synchronises.
    Synchronisation,
    /// The server has asked by itself.
    Missing,
}

/// The ticket of `request`.
pub(super) fn ticket(request: &'static str) -> Ticket {
    Ticket { request, id: None }
}
