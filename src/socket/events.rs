//! Sends events of the bus to the clients of this door.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    Sockets,
    client::Client,
    packet::{Attachments, Frame},
};
use crate::{
    bus::{Published, Subscriber},
    id::EventId,
    room::Delivery,
    session::Session,
};

/// The payload of an event: its id, if it is durable, and its fields.
#[derive(Serialize)]
struct EventPayload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    #[serde(flatten)]
    body: &'a Map<String, Value>,
}

/// The event as a Socket.IO message.
pub(super) fn frame(published: &Published) -> engineio::Message {
    let payload = EventPayload {
        event_id: published.event_id,
        body: &published.event.body,
    };
    Frame::event(&published.event.name, &payload, Attachments::new())
}

impl Subscriber for Sockets {
    fn tell_sessions(&self, sessions: &[Arc<Session>], published: &Arc<Published>) {
        let mut encoded = None;
        for client in self.clients_of(sessions) {
            let event = &published.event;
            let comes_in_a_room = !event.is_for_team() && client.receives_in_a_room(event);
            if client.session.has_ended() || comes_in_a_room || client.held.hold(published) {
                continue;
            }
            let message = encoded.get_or_insert_with(|| frame(published));
            match client.offer_event(published, message.clone()) {
                // It may be reading a large document. What passes is dropped, and presence is told
                // again later.
                Delivery::Full if published.event_id.is_none() => {
                    self.shared.presence.missed(&client.session);
                }
                Delivery::Queued | Delivery::Full => {}
            }
        }
    }

    fn flush(&self, sessions: &[Arc<Session>]) {
        for client in self.clients_of(sessions) {
            client.socket().flush(engineio::Writer::Task);
        }
    }
}

impl Sockets {
    /// The clients of those `sessions` that belong to this door.
    fn clients_of(&self, sessions: &[Arc<Session>]) -> Vec<Arc<Client>> {
        let clients = self.shared.clients.lock();
        let found = sessions.iter().filter_map(|it| clients.get(&it.id()));
        found.cloned().collect()
    }
}
