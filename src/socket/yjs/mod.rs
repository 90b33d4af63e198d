//! The door of y-socket.io: namespaces `/yjs|<room>` of Socket.IO, for its stock `SocketIOProvider`.
//!
//! ```text
//! packets      the packets of the protocol, read and written
//! namespaces   the namespaces of one connection
//! handshake    begins a session with a token, and joins its room
//! client       a client in one namespace: its session, its room, and messages to it
//! requests     carries out what a client sends
//! greeting     how a client that connects again is shown again at once
//! asking       when the server asks a client for what the server lacks
//! seat         a client as a member of its room
//! ```
//! It shares Engine.IO connections with the native door. One connection may carry both, and several
//! namespaces: each has a token, a session and a seat of its own, and all share the budget of the
//! connection. The server sends the document only as the answer to a client's step 1, and behind it asks
//! for what it lacks itself. Updates are relayed to a client from the moment at which it is told that it is
//! connected, which is before its step 1 is answered: together they are complete, in any order.

mod asking;
mod client;
mod greeting;
mod handshake;
mod namespaces;
mod packets;
mod requests;
mod seat;

use std::sync::Arc;

pub(super) use self::{handshake::begin, namespaces::Namespaces};
use self::{
    namespaces::{Occupant, Receiver},
    packets::{Event, PREFIX},
};
use super::{
    client::EngineSocket,
    packet::{Attachments, Kind, NotAPacket, Packet},
};
use crate::room::RoomHandle;

/// Whether `namespace` is one of y-socket.io.
pub(super) fn has(namespace: &str) -> bool {
    namespace.starts_with(PREFIX)
}

/// Receives a packet other than CONNECT in a namespace of y-socket.io.
///
/// # Errors
/// [`NotAPacket`] for a packet that the protocol does not have, and for one in a namespace to which the
/// client is not connected.
pub(super) fn receive(
    packet: &Packet<'_>,
    attachments: Attachments,
    socket: &Arc<EngineSocket>,
) -> Result<(), NotAPacket> {
    let receiver = || {
        let find = |namespaces: &mut Namespaces| namespaces.receiver(packet.namespace);
        socket.data.namespaces(find)
    };
    match packet.kind {
        Kind::Connect => Err(NotAPacket),
        Kind::Disconnect => {
            let name = packet.namespace;
            match socket.data.namespaces(|namespaces| namespaces.leave(name)) {
                Some(Some(client)) => client.forget(),
                Some(None) => {}
                None => socket.ignore(),
            }
            Ok(())
        }
        Kind::Event | Kind::Ack => match receiver() {
            Receiver::Nobody => Err(NotAPacket),
            Receiver::Ended => {
                socket.ignore();
                Ok(())
            }
            Receiver::Client(client) => {
                client.receive(match packet.kind {
                    Kind::Ack => Event::parse_ack(packet, &attachments)?,
                    _ => Event::parse(packet, attachments)?,
                });
                Ok(())
            }
        },
    }
}

/// Ends all sessions of a connection that has closed.
pub(super) fn leave_all(socket: &EngineSocket) {
    for client in socket.data.namespaces(Namespaces::close) {
        client.forget();
    }
}

/// Carries out the events that came too fast, when it is time.
pub(super) async fn resume(socket: &EngineSocket) {
    while let Some(client) = socket
        .data
        .namespaces(|namespaces| namespaces.find(|client| client.is_paused()))
    {
        client.resume().await;
    }
}

/// A room whose inbox is so full that the server must not read the connection's next frame yet.
pub(super) fn busy_room(socket: &EngineSocket) -> Option<RoomHandle> {
    if !socket.data.has_namespaces() {
        return None;
    }
    let is_busy = |client: &dyn Occupant| client.room().is_busy();
    let client = socket
        .data
        .namespaces(|namespaces| namespaces.find(is_busy))?;
    Some(client.room().clone())
}
