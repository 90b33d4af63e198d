//! The ack of `join_room`.

use bytes::Bytes;

use super::{
    client::Client,
    packet::{Attachments, Frame, Placeholder},
    protocol::{JoinedPayload, deletions_omitted, storage_status},
};
use crate::{
    auth::{Claims, User},
    catalog::Document,
    id::RoomName,
    presence::{Entry, Status},
    room::{Joined, Person},
    store::Metadata,
};

/// The ack of a join.
pub(super) fn ack(
    room: &RoomName,
    client: &Client,
    id: u64,
    joined: Joined,
    recovered: Option<bool>,
) -> engineio::Message {
    let claims = client.session.claims();
    let rights = claims.rights_in(room);
    let members = members(room, client, &claims, joined.members);
    let workflow = client
        .shared
        .operations
        .workflow
        .state(&joined.document, rights);
    let mut attachments = Attachments::new();
    let mut attach = |bytes: Bytes| {
        attachments.push(bytes);
        Placeholder(attachments.len() - 1)
    };
    let payload = JoinedPayload {
        ok: true,
        room,
        document_id: joined.document.document_id,
        document: Document::new(Metadata::clone(&joined.document), &workflow.status),
        permission: rights.permission().map(|permission| permission.name()),
        rights: rights.names(),
        seq: joined.seq.0,
        state_vector: attach(joined.state_vector.into()),
        update: attach(joined.lacking.update),
        deletions_omitted: deletions_omitted(joined.lacking.deletions),
        awareness: joined.awareness.map(&mut attach),
        color: joined.color.as_str(),
        members,
        members_total: joined.members_total,
        workflow,
        storage: storage_status(joined.storage),
        recovered,
    };
    Frame::ack(id, &payload, attachments)
}

/// The entries of the people in the room. Presence does not know people of doors that do not
/// report to it.
fn members(room: &RoomName, client: &Client, claims: &Claims, people: Vec<Person>) -> Vec<Entry> {
    let ids = people.iter().map(|person| &person.user.id);
    let entries = client.shared.presence.entries_of(claims, ids);
    let or_online = |(person, entry): (Person, Option<Entry>)| {
        entry.unwrap_or_else(|| Entry {
            user: User::clone(&person.user),
            status: Status::Online,
            activity: None,
            rooms: vec![room.clone()],
            last_seen_at: person.last_seen_at,
        })
    };
    people.into_iter().zip(entries).map(or_online).collect()
}
