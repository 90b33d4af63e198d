//! Handles one request: reads its fields, checks the rights, and puts it into its room's inbox.
//!
//! All of this happens before the connection's next frame is read, so requests of one client
//! reach a room in the order in which they were sent. Nothing here waits; a room answers
//! through the [seat](super::seat).

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use document::awareness;
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;

use super::{
    Shared, calls,
    client::{Client, NOT_JOINED},
    fields::Fields,
    handshake,
    header::UpdateHeader,
    joined_rooms::JoinedRoom,
    packet::{ATTACHMENTS_MAX, Attachments, EventBody, NotAPacket, Packet},
    protocol::{Done, request},
    seat::NativeSeat,
};
use crate::{
    auth::Right,
    error::{Error, Result},
    id::{RoomName, Timestamp},
    limits::Role,
    operations::Operation,
    presence::{Activity, Change, Status},
    room::{Command, Creation, Peer, Standing, Ticket, Update},
};

/// One request of a client.
struct Request<'a> {
    shared: &'a Arc<Shared>,
    client: &'a Arc<Client>,
    ack: Option<u64>,
    /// Set for an update whose header was recognised. Then there is no argument.
    header: Option<UpdateHeader<'a>>,
    argument: Option<&'a RawValue>,
    attachments: Attachments,
    /// The size of the packet with its attachments.
    bytes: usize,
}

/// Carries out the request in the event `packet`, or refuses it with an error. Requests after the
/// end of the session are ignored.
///
/// # Errors
/// [`NotAPacket`] if the packet's JSON is not an event.
pub(super) fn receive(
    shared: &Arc<Shared>,
    client: &Arc<Client>,
    packet: &Packet<'_>,
    attachments: Attachments,
) -> Result<(), NotAPacket> {
    let recognised = UpdateHeader::recognise(packet.json);
    let header = recognised.filter(|_| attachments.len() == 1);
    let (name, argument) = match header {
        Some(header) => (Cow::Borrowed(header.event), None),
        None => {
            let EventBody { name, argument } = EventBody::parse(packet.json)?;
            (name, argument)
        }
    };
    if client.session.has_ended() {
        return Ok(());
    }
    client.session.seen(Timestamp::now());
    let ack = packet.ack;
    let attached: usize = attachments.iter().map(Bytes::len).sum();
    let request = Request {
        shared,
        client,
        ack,
        header,
        argument,
        attachments,
        bytes: packet.json.len() + attached,
    };
    let done = match &*name {
        _ if packet.attachments > ATTACHMENTS_MAX => request.refuse_attachments(),
        request::DOCUMENT_UPDATE => request.update(),
        request::AWARENESS_UPDATE => request.awareness(),
        request::JOIN_ROOM => request.join(),
        request::LEAVE_ROOM => request.leave(),
        request::DOCUMENT_SYNC => request.sync(),
        request::TOKEN_REFRESH => request.refresh(),
        request::PRESENCE_UPDATE => request.change_presence(),
        request::PRESENCE_LIST => request.list_presence(),
        name => match Operation::of(name) {
            Some(operation) => request.call(operation),
            None => request.unknown(),
        },
    };
    if let Err(error) = done {
        client.refuse(&name, ack, &error);
    }
    Ok(())
}

impl Request<'_> {
    /// A request with more attachments than any has.
    fn refuse_attachments(self) -> Result<()> {
        self.client.session.budget.admit_request(self.bytes)?;
        Err(Error::Invalid {
            field: "attachments",
            reason: "are more than 4",
        })
    }

    fn update(self) -> Result<()> {
        self.client.session.budget.admit_update(self.bytes)?;
        self.shared.sessions.check_open()?;
        let limit = self.shared.limits.update_bytes_max;
        let ticket = self.ticket(request::DOCUMENT_UPDATE);
        let (joined, bytes) = self.update_bytes(Right::Edit, limit)?;
        let checked = document::validate(&bytes).map_err(|_| Error::Invalid {
            field: "update",
            reason: "is not a Yjs update",
        })?;
        joined.handle.send(Command::Update(Box::new(Update {
            peer: joined.seat,
            ticket,
            bytes,
            checked,
            standing: Standing::Member,
        })))
    }

    fn awareness(self) -> Result<()> {
        self.client.session.budget.admit_update(self.bytes)?;
        let limit = self.shared.limits.awareness_bytes_max;
        let ticket = self.ticket(request::AWARENESS_UPDATE);
        let (joined, bytes) = self.update_bytes(Right::View, limit)?;
        let entries = awareness::decode(&bytes).map_err(|_| Error::Invalid {
            field: "update",
            reason: "is not an awareness update",
        })?;
        joined.handle.send(Command::Awareness {
            peer: joined.seat,
            ticket,
            entries,
            bytes: bytes.len(),
        })
    }

    /// The field `update`, of at most `limit` bytes, and its room, which the client must have
    /// joined and in which it must have `right`.
    fn update_bytes(self, right: Right, limit: usize) -> Result<(JoinedRoom, Bytes)> {
        let (joined, bytes) = match (self.header, self.attachments.first()) {
            (Some(header), Some(bytes)) => {
                let joined = self.client.joined(header.room)?;
                joined.rights.require(right)?;
                (joined, bytes.clone())
            }
            _ => {
                let fields = Fields::parse(self.argument, self.attachments)?;
                let joined = self.client.joined(fields.room()?.as_str())?;
                joined.rights.require(right)?;
                (joined, fields.bytes("update")?)
            }
        };
        if bytes.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        Ok((joined, bytes))
    }

    fn ticket(&self, request: &'static str) -> Ticket {
        Ticket {
            request,
            id: self.ack,
        }
    }

    fn join(self) -> Result<()> {
        self.client.session.budget.admit_join(self.bytes)?;
        self.shared.sessions.check_open()?;
        let ticket = self.ticket(request::JOIN_ROOM);
        let fields = Fields::parse_room(self.argument, self.attachments)?;
        let name = fields.room()?;
        let has = fields.find_has()?;
        let since = fields.find_since()?;
        let rights = self.client.session.rights_in(&name);
        rights
            .require(Right::View)
            .inspect_err(|error| self.shared.metrics.joined(error.code()))?;
        let creation = if rights.allows(Right::Edit) {
            Creation::Allowed
        } else {
            Creation::Forbidden
        };
        // The lock is held until the seat is inserted, so that a refusal of the room finds it.
        let mut rooms = self.client.rooms.lock();
        let role = self.client.session.budget.role();
        let limit = self.shared.rooms_per_socket(role);
        let present = rooms.len() + self.client.socket().data.open_namespaces();
        if present >= limit && rooms.find(name.as_str()).is_none() {
            self.shared.metrics.limit_applied(match role {
                Role::Person => "rooms_per_socket",
                Role::Service => "service_rooms_per_socket",
            });
            return Err(Error::TooManyRooms { limit });
        }
        let handle = self.shared.rooms.open(&self.client.session.key(&name))?;
        let name = handle.name().clone();
        let seat = NativeSeat::new(self.client, name.clone(), since);
        let seat: Arc<dyn Peer> = Arc::new(seat);
        let peer = Arc::clone(&seat);
        handle.send(Command::Join {
            peer,
            ticket,
            creation,
            has,
        })?;
        rooms.insert(
            name,
            JoinedRoom {
                handle,
                seat,
                rights,
            },
        );
        Ok(())
    }

    fn leave(self) -> Result<()> {
        self.client.session.budget.admit_request(self.bytes)?;
        let ticket = self.ticket(request::LEAVE_ROOM);
        let room = Fields::parse_room(self.argument, self.attachments)?.room()?;
        let joined = {
            let mut rooms = self.client.rooms.lock();
            let (_, joined) = rooms.remove(room.as_str()).ok_or(NOT_JOINED)?;
            self.shared.presence.exit(&self.client.session, &room);
            joined
        };
        let session = self.client.session.id();
        let answer = Some((joined.seat, ticket));
        joined.handle.send(Command::Leave { session, answer })
    }

    fn sync(self) -> Result<()> {
        self.client.session.budget.admit_join(self.bytes)?;
        let ticket = self.ticket(request::DOCUMENT_SYNC);
        let fields = Fields::parse(self.argument, self.attachments)?;
        let room = fields.room()?;
        let has = fields.has()?;
        let joined = self.client.joined(room.as_str())?;
        joined.handle.send(Command::Sync {
            peer: joined.seat,
            ticket,
            has,
        })
    }

    fn refresh(self) -> Result<()> {
        self.client.session.budget.admit_request(self.bytes)?;
        let fields = Fields::parse(self.argument, self.attachments)?;
        let token = fields.text("token")?.into_owned();
        handshake::refresh(self.shared, self.client, token, self.ack);
        Ok(())
    }

    fn change_presence(self) -> Result<()> {
        self.client.session.budget.admit_request(self.bytes)?;
        let fields = Fields::parse(self.argument, self.attachments)?;
        let status = fields.find_text("status")?;
        let status = status.map(|status| Status::parse(&status)).transpose()?;
        let activity = match fields.find_json("activity")? {
            None => None,
            Some(Value::Null) => Some(None),
            Some(activity) => Some(Some(Activity::read(&activity)?)),
        };
        let change = Change { status, activity };
        self.shared.presence.update(&self.client.session, change)?;
        self.client.accept(self.ack, &Done { ok: true });
        Ok(())
    }

    fn list_presence(self) -> Result<()> {
        let budget = &self.client.session.budget;
        budget.admit_request(self.bytes)?;
        let began = Instant::now();
        let fields = Fields::parse(self.argument, self.attachments)?;
        let room = fields.find_text("room")?;
        let room = room.map(|room| RoomName::parse(&room)).transpose()?;
        let claims = self.client.session.claims();
        let list = self.shared.presence.list(&claims, room.as_ref())?;
        self.client.accept(self.ack, &list);
        budget.charge(began.elapsed(), 0);
        Ok(())
    }

    fn call(self, operation: Operation) -> Result<()> {
        let Self { shared, client, .. } = self;
        client.session.budget.admit_request(self.bytes)?;
        calls::begin(
            shared,
            client,
            operation,
            self.ack,
            self.argument,
            &self.attachments,
        )
    }

    fn unknown(self) -> Result<()> {
        self.client.session.budget.admit_request(self.bytes)?;
        Err(Error::Invalid {
            field: "event",
            reason: "is not known",
        })
    }
}
