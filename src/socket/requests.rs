//! One request: read its fields, ask for permission, put it into its room's inbox.
//!
//! All of it happens before the connection's next frame is read, so requests
//! of one client reach a room in the order in which they were sent. Nothing
//! here waits; a room answers through the [seat](super::seat).

use std::sync::Arc;

use bytes::Bytes;
use document::awareness;
use serde_json::value::RawValue;

use super::{
    Shared,
    fields::Fields,
    handshake,
    packet::{Attachments, EventBody, NotAPacket, Packet},
    protocol::request,
    seat::NativeSeat,
    session::{Membership, NOT_JOINED, Session},
};
use crate::{
    auth::Right,
    error::{Error, Result},
    room::{Command, Creation, Standing, Ticket, Update},
};

/// One request on its way in.
struct Request<'a> {
    shared: &'a Arc<Shared>,
    session: &'a Arc<Session>,
    ack: Option<u64>,
    argument: Option<&'a RawValue>,
    attachments: Attachments,
}

/// Carries out the event `packet`, or answers why not.
///
/// # Errors
/// [`NotAPacket`] where it is no event at all.
pub(super) fn receive(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    packet: &Packet<'_>,
    attachments: Attachments,
) -> Result<(), NotAPacket> {
    let body = EventBody::parse(packet.json)?;
    if session.ended_at().is_some() {
        return Ok(());
    }
    let ack = packet.ack;
    let request = Request {
        shared,
        session,
        ack,
        argument: body.argument,
        attachments,
    };
    let done = match &*body.name {
        request::DOCUMENT_UPDATE => request.update(),
        request::AWARENESS_UPDATE => request.awareness(),
        request::JOIN_ROOM => request.join(),
        request::LEAVE_ROOM => request.leave(),
        request::DOCUMENT_SYNC => request.sync(),
        request::TOKEN_REFRESH => request.refresh(),
        _ => request.unknown(),
    };
    if let Err(error) = done {
        session.refuse(&body.name, ack, &error);
    }
    Ok(())
}

impl Request<'_> {
    fn update(self) -> Result<()> {
        self.session.budget.admit_update()?;
        self.shared.check_open()?;
        let limit = self.shared.limits.update_bytes_max;
        let ticket = self.ticket(request::DOCUMENT_UPDATE);
        let (membership, bytes) = self.update_bytes(Right::Edit, limit)?;
        let checked = document::validate(&bytes).map_err(|_| Error::Invalid {
            field: "update",
            reason: "is not a Yjs update",
        })?;
        membership.room.send(Command::Update(Box::new(Update {
            peer: membership.seat,
            ticket,
            bytes,
            checked,
            standing: Standing::Member,
        })))
    }

    fn awareness(self) -> Result<()> {
        self.session.budget.admit_update()?;
        let limit = self.shared.limits.awareness_bytes_max;
        let ticket = self.ticket(request::AWARENESS_UPDATE);
        let (membership, bytes) = self.update_bytes(Right::View, limit)?;
        let entries = awareness::decode(&bytes).map_err(|_| Error::Invalid {
            field: "update",
            reason: "is not an awareness update",
        })?;
        membership.room.send(Command::Awareness {
            peer: membership.seat,
            ticket,
            entries,
            bytes: bytes.len(),
        })
    }

    /// The field `update`, of at most `limit` bytes, for a joined room where `right` is held.
    fn update_bytes(self, right: Right, limit: usize) -> Result<(Membership, Bytes)> {
        let fields = Fields::parse(self.argument, self.attachments)?;
        let membership = self.session.membership(&fields.room()?)?;
        membership.rights.require(right)?;
        let bytes = fields.bytes("update")?;
        if bytes.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        Ok((membership, bytes))
    }

    fn ticket(&self, request: &'static str) -> Ticket {
        Ticket {
            request,
            id: self.ack,
        }
    }

    fn join(self) -> Result<()> {
        self.session.budget.admit_request()?;
        self.shared.check_open()?;
        let ticket = self.ticket(request::JOIN_ROOM);
        let fields = Fields::parse_room(self.argument, self.attachments)?;
        let name = fields.room()?;
        let state_vector = fields.find_state_vector()?;
        let rights = self.session.claims().rights_in(&name);
        rights
            .require(Right::View)
            .inspect_err(|error| self.shared.metrics.joined(error.code()))?;
        let creation = if rights.allows(Right::Edit) {
            Creation::Allowed
        } else {
            Creation::Forbidden
        };
        // Held until the seat is noted, so that a refusal finds it.
        let mut rooms = self.session.rooms.lock();
        let limit = self.shared.rooms_per_socket(self.session.budget.role());
        if rooms.len() >= limit && !rooms.contains_key(&name) {
            return Err(Error::TooManyRooms { limit });
        }
        let room = self.shared.rooms.open(&self.session.key(name.clone()))?;
        let metrics = self.shared.metrics.clone();
        let seat = Arc::new(NativeSeat::new(self.session, name.clone(), metrics));
        let peer = Arc::clone(&seat) as _;
        room.send(Command::Join {
            peer,
            ticket,
            creation,
            state_vector,
        })?;
        rooms.insert(name, Membership { room, seat, rights });
        Ok(())
    }

    fn leave(self) -> Result<()> {
        self.session.budget.admit_request()?;
        let ticket = self.ticket(request::LEAVE_ROOM);
        let room = Fields::parse_room(self.argument, self.attachments)?.room()?;
        let membership = self.session.rooms.lock().remove(&room).ok_or(NOT_JOINED)?;
        let session = self.session.participant.session;
        let answer = Some((membership.seat as _, ticket));
        membership.room.send(Command::Leave { session, answer })
    }

    fn sync(self) -> Result<()> {
        self.session.budget.admit_request()?;
        let ticket = self.ticket(request::DOCUMENT_SYNC);
        let fields = Fields::parse(self.argument, self.attachments)?;
        let room = fields.room()?;
        let state_vector = fields.state_vector()?;
        let membership = self.session.membership(&room)?;
        membership.room.send(Command::Sync {
            peer: membership.seat,
            ticket,
            state_vector,
        })
    }

    fn refresh(self) -> Result<()> {
        self.session.budget.admit_request()?;
        let fields = Fields::parse(self.argument, self.attachments)?;
        let token = fields.text("token")?.into_owned();
        handshake::refresh(self.shared, self.session, token, self.ack);
        Ok(())
    }

    fn unknown(self) -> Result<()> {
        self.session.budget.admit_request()?;
        Err(Error::Invalid {
            field: "event",
            reason: "is not known",
        })
    }
}
