//! The interface that the owner of an engine implements.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use http::Extensions;

use super::{
    answer::Answer,
    connection::{Connection, Reason},
    receiver::Busy,
    stage::Carrier,
};

/// Receives the events and messages of Engine.IO connections.
///
/// The calls about one connection come in order and never two at once. No method may block.
pub trait Door: Send + Sync + Sized + 'static {
    /// The data that the door keeps with each connection.
    type Data: Send + Sync + 'static;

    /// A request with `extensions` asks for a new connection over `carrier`. Returns the data of
    /// the connection.
    ///
    /// # Errors
    /// The answer that refuses the request.
    fn admit(&self, carrier: Carrier, extensions: &Extensions) -> Result<Self::Data, Box<Answer>>;

    /// A request with `extensions` arrived for a connection that began with polling.
    fn requested(&self, _: &Extensions, _: &Arc<Connection<Self::Data>>) {}

    /// A connection was opened.
    fn opened(&self, connection: &Arc<Connection<Self::Data>>);

    /// A connection moved from polling to a WebSocket.
    fn upgraded(&self, connection: &Arc<Connection<Self::Data>>);

    /// The peer answered the last of all [pings](Connection::ping), so it has read
    /// everything that was sent before it.
    fn pings_answered(&self, _: &Arc<Connection<Self::Data>>) {}

    /// A text message arrived.
    fn text(&self, text: &str, connection: &Arc<Connection<Self::Data>>);

    /// A binary message arrived.
    fn binary(&self, bytes: Bytes, connection: &Arc<Connection<Self::Data>>);

    /// Whether the peer is known. The messages of a stranger may have
    /// [`stranger_bytes_max`](super::Options::stranger_bytes_max) bytes only.
    fn knows(&self, connection: &Arc<Connection<Self::Data>>) -> bool;

    /// Whether the door waits for further messages, without which those that it has received mean
    /// nothing. They have to arrive in time.
    fn awaits_more(&self, _: &Arc<Connection<Self::Data>>) -> bool {
        false
    }

    /// What has to end before the door takes further messages; `None` if it takes them now. Nothing
    /// is read from the peer meanwhile.
    fn busy(&self, connection: &Arc<Connection<Self::Data>>) -> Option<Busy>;

    /// Runs a task of `connection`, or the one that opens a connection, which is spawned while
    /// its request is answered. The owner of the door owns these tasks and learns of
    /// their panics; a panic of the task ends its connection.
    fn spawn(
        &self,
        connection: Option<&Connection<Self::Data>>,
        task: impl Future<Output = ()> + Send + 'static,
    );

    /// A connection ended. Called once for each that was opened.
    fn closed(&self, connection: &Arc<Connection<Self::Data>>, reason: Reason);
}
