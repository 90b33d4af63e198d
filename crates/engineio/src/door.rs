//! What the owner of an engine implements.

use std::{future::Future, sync::Arc};

use bytes::Bytes;

use super::connection::{Connection, Reason};

/// Whoever takes the messages of Engine.IO connections.
///
/// Everything about one connection is called in order, never twice at once.
/// Nothing may block.
pub trait Door: Send + Sync + Sized + 'static {
    /// What it notes of a connection.
    type Data: Default + Send + Sync + 'static;

    /// A connection opened.
    fn opened(&self, connection: &Arc<Connection<Self::Data>>);

    /// It moved from polling to a WebSocket.
    fn upgraded(&self, connection: &Arc<Connection<Self::Data>>);

    /// It answered a [`ping`](Connection::ping), and none is unanswered any more: it has
    /// read everything that was sent before.
    fn heard(&self, _: &Arc<Connection<Self::Data>>) {}

    /// It brought a text.
    fn text(&self, text: &str, connection: &Arc<Connection<Self::Data>>);

    /// It brought bytes.
    fn binary(&self, bytes: Bytes, connection: &Arc<Connection<Self::Data>>);

    /// Whether a WebSocket may bring more at present. While not, it is not read
    /// from, and asked about once a millisecond.
    fn wants_more(&self, connection: &Arc<Connection<Self::Data>>) -> bool;

    /// Runs the task of a connection: whoever owns the door owns its tasks, and hears of
    /// one that panics. That ends its connection.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// It is over. Called once for each that opened.
    fn closed(&self, connection: &Arc<Connection<Self::Data>>, reason: Reason);
}
