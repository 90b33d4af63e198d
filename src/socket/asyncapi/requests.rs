//! The requests that a client may make.

use crate::{
    error::ErrorCode::{
        Conflict, Forbidden, NotFound, TokenExpired, TooLarge, TooManyRooms, Unauthorized,
    },
    id::{EventId, RoomName, Seq},
    operations::{Description, Operation, about},
    presence::{Change, PresenceList},
    socket::{
        packet::Placeholder as Bytes,
        protocol::{JoinedPayload, RefreshedPayload, SyncedPayload, request},
    },
};

/// The requests that a client may make.
pub(super) fn requests() -> Vec<(&'static str, Description)> {
    let in_room = |subject| about(subject).field::<RoomName>("room");
    let mut requests = vec![
        (
            request::JOIN_ROOM,
            in_room("documents")
                .optional::<Bytes>("state_vector")
                .optional::<Bytes>("deletions_hash")
                .optional::<EventId>("since")
                .answers::<JoinedPayload<'_>>()
                .notes("The payload may be the name of the room alone.")
                .needs("view")
                .fails(&[Forbidden, NotFound, TooManyRooms]),
        ),
        (
            request::LEAVE_ROOM,
            in_room("documents").notes("The payload may be the name of the room alone."),
        ),
        (
            request::DOCUMENT_SYNC,
            in_room("documents")
                .field::<Bytes>("state_vector")
                .optional::<Bytes>("deletions_hash")
                .answers::<SyncedPayload>()
                .needs("view")
                .fails(&[Conflict]),
        ),
        (
            request::DOCUMENT_UPDATE,
            in_room("documents")
                .field::<Bytes>("update")
                .answers_with::<Seq>("seq")
                .notes(
                    "The acknowledgement says that the update is durable; with pending: true, that it \
                     waits for edits that the server does not have.",
                )
                .needs("edit")
                .fails(&[Forbidden, Conflict, TooLarge]),
        ),
        (
            request::AWARENESS_UPDATE,
            in_room("presence")
                .field::<Bytes>("update")
                .needs("view")
                .fails(&[Forbidden, Conflict, TooLarge]),
        ),
        (
            request::TOKEN_REFRESH,
            about("session")
                .field::<String>("token")
                .answers::<RefreshedPayload>()
                .fails(&[Unauthorized, TokenExpired, Forbidden]),
        ),
        (
            request::PRESENCE_UPDATE,
            about("presence")
                .takes::<Change>()
                .notes("What is left out stays as it is; with null the activity ends.")
                .fails(&[Forbidden]),
        ),
        (
            request::PRESENCE_LIST,
            about("presence")
                .optional::<RoomName>("room")
                .answers::<PresenceList>()
                .needs("view, with a room")
                .fails(&[Forbidden]),
        ),
    ];
    for (name, description) in &mut requests {
        let meaning = request::ALL.iter().find(|(known, _)| known == name);
        let (_, summary) = meaning.expect("a request of the protocol");
        description.summary = summary.trim().to_owned();
    }
    let operations = Operation::ALL.iter();
    requests.extend(operations.map(|it| (it.name(), it.description())));
    requests
}
