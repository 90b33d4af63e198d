//! The events that the server sends.

use serde_json::{Value, json};

use crate::{
    activity::{ACTIVITY, Activity},
    catalog::{DOCUMENT_CHANGED, DOCUMENT_CREATED, DOCUMENT_DELETED, DocumentEvent},
    comments::events::{self as comment, Deleted, OfComment, OfThread},
    id::EventId,
    notifications::{
        Changed as NotificationsChanged, NOTIFICATION, NOTIFICATION_DELETED, NOTIFICATION_READ,
        Told,
    },
    operations::{AddComponents, Components},
    presence::{Changed as PresenceChanged, Entry, PRESENCE_CHANGED, PRESENCE_UPDATE},
    socket::protocol::{
        BytesPayload, Connection, EndedPayload, ExpiringPayload, RequestError, ResyncPayload,
        RoomClosedPayload, StoragePayload, event,
    },
    workflow::{Moved, WORKFLOW_UPDATE},
};

/// An event that the server sends.
pub(super) struct Sent {
    pub(super) name: &'static str,
    pub(super) summary: &'static str,
    pub(super) payload: Value,
}

/// The events that the server sends.
pub(super) fn events(components: &mut Components) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut add = |name: &'static str, summary: &'static str, payload: Value| {
        sent.push(Sent {
            name,
            summary: summary.trim(),
            payload,
        });
    };
    let of_socket = [
        (event::CONNECTION, components.add::<Connection<'_>>()),
        (event::DOCUMENT_UPDATE, components.add::<BytesPayload<'_>>()),
        (
            event::DOCUMENT_RESYNC,
            components.add::<ResyncPayload<'_>>(),
        ),
        (
            event::DOCUMENT_STORAGE,
            components.add::<StoragePayload<'_>>(),
        ),
        (
            event::AWARENESS_UPDATE,
            components.add::<BytesPayload<'_>>(),
        ),
        (
            event::ROOM_CLOSED,
            components.add::<RoomClosedPayload<'_>>(),
        ),
        (event::TOKEN_EXPIRING, components.add::<ExpiringPayload>()),
        (event::SESSION_ENDED, components.add::<EndedPayload<'_>>()),
        (event::REQUEST_ERROR, components.add::<RequestError<'_>>()),
    ];
    for (name, payload) in of_socket {
        let meaning = event::ALL.iter().find(|(known, _)| *known == name);
        let (_, summary) = meaning.expect("an event of the protocol");
        add(name, summary, payload);
    }
    add(
        PRESENCE_UPDATE,
        "A person came, went, or changed.",
        components.add::<Entry>(),
    );
    let changed = components.add::<PresenceChanged>();
    add(
        PRESENCE_CHANGED,
        "Somebody in a large team came, went, or changed.",
        changed,
    );
    let id = components.add::<EventId>();
    let kept = |payload: Value, required: &[&str]| {
        let id =
            json!({ "type": "object", "properties": { "event_id": id }, "required": required });
        json!({ "allOf": [payload, id] })
    };
    let document = components.add::<DocumentEvent<'_>>();
    let edited = "A document has another title, or (without event_id) was edited.";
    add(
        DOCUMENT_CREATED,
        "A document was created, or restored.",
        kept(document.clone(), &["event_id"]),
    );
    add(DOCUMENT_CHANGED, edited, kept(document.clone(), &[]));
    add(
        DOCUMENT_DELETED,
        "A document is in the trash.",
        kept(document, &["event_id"]),
    );
    for (name, summary, payload) in [
        (
            comment::THREAD_CREATED,
            "A thread was begun.",
            components.add::<OfThread<'_>>(),
        ),
        (
            comment::THREAD_UPDATED,
            "A thread was resolved or opened again.",
            components.add::<OfThread<'_>>(),
        ),
        (
            comment::THREAD_DELETED,
            "A thread was deleted.",
            components.add::<Deleted<'_>>(),
        ),
        (
            comment::COMMENT_CREATED,
            "A comment was added to a thread.",
            components.add::<OfComment<'_>>(),
        ),
        (
            comment::COMMENT_UPDATED,
            "A comment was edited, or its reactions changed.",
            components.add::<OfComment<'_>>(),
        ),
        (
            comment::COMMENT_DELETED,
            "A comment was deleted.",
            components.add::<Deleted<'_>>(),
        ),
        (
            WORKFLOW_UPDATE,
            "A document was moved to another status.",
            components.add::<Moved<'_>>(),
        ),
        (
            ACTIVITY,
            "Something happened in the team.",
            components.add::<Activity>(),
        ),
        (
            NOTIFICATION,
            "A notification of the person.",
            components.add::<Told<'_>>(),
        ),
        (
            NOTIFICATION_READ,
            "Notifications were read.",
            components.add::<NotificationsChanged<'_>>(),
        ),
        (
            NOTIFICATION_DELETED,
            "Notifications were deleted.",
            components.add::<NotificationsChanged<'_>>(),
        ),
    ] {
        add(name, summary, kept(payload, &["event_id"]));
    }
    sent
}
