//! One request: read its fields, ask for permission, put it into its room's inbox.
//!
//! All of it happens before the connection's next frame is read, so requests
//! of one client reach a room in the order in which they were sent. Nothing
//! here waits; a room answers through the [seat](super::seat).

use std::sync::Arc;

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
    document::{self, awareness},
    error::{Error, Result},
    room::{Command, Creation, Ticket},
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
        let fields = Fields::parse(self.argument, self.attachments)?;
        let room = fields.room()?;
        let membership = self.session.membership(&room)?;
        membership.rights.require(Right::Edit)?;
        let bytes = fields.bytes("update")?;
        let limit = self.shared.limits.update_bytes_max;
        if bytes.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        let checked = document::validate(&bytes).map_err(|_| Error::Invalid {
            field: "update",
            reason: "is not a Yjs update",
        })?;
        let seat = membership.seat as _;
        let ticket = Ticket {
            request: request::DOCUMENT_UPDATE,
            id: self.ack,
        };
        membership.room.send(Command::Update {
            seat,
            ticket,
            bytes,
            checked,
        })
    }

    fn awareness(self) -> Result<()> {
        self.session.budget.admit_update()?;
        let fields = Fields::parse(self.argument, self.attachments)?;
        let room = fields.room()?;
        let membership = self.session.membership(&room)?;
        let bytes = fields.bytes("update")?;
        let limit = self.shared.limits.awareness_bytes_max;
        if bytes.len() > limit {
            return Err(Error::TooLarge { limit });
        }
        let entries = awareness::decode(&bytes).map_err(|_| Error::Invalid {
            field: "update",
            reason: "is not an awareness update",
        })?;
        let seat = membership.seat as _;
        let ticket = Ticket {
            request: request::AWARENESS_UPDATE,
            id: self.ack,
        };
        membership.room.send(Command::Awareness {
            seat,
            ticket,
            entries,
            bytes: bytes.len(),
        })
    }

    fn join(self) -> Result<()> {
        self.session.budget.admit_request()?;
        self.shared.check_open()?;
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
        let limit = self.shared.limits.rooms_per_socket;
        if rooms.len() >= limit && !rooms.contains_key(&name) {
            return Err(Error::TooManyRooms { limit });
        }
        let room = self.shared.rooms.open(&self.session.key(name.clone()))?;
        let metrics = self.shared.metrics.clone();
        let seat = Arc::new(NativeSeat::new(self.session, name.clone(), metrics));
        let ticket = Ticket {
            request: request::JOIN_ROOM,
            id: self.ack,
        };
        let place = Arc::clone(&seat) as _;
        room.send(Command::Join {
            seat: place,
            ticket,
            creation,
            state_vector,
        })?;
        rooms.insert(name, Membership { room, seat, rights });
        Ok(())
    }

    fn leave(self) -> Result<()> {
        self.session.budget.admit_request()?;
        let room = Fields::parse_room(self.argument, self.attachments)?.room()?;
        let membership = self.session.rooms.lock().remove(&room).ok_or(NOT_JOINED)?;
        let ticket = Ticket {
            request: request::LEAVE_ROOM,
            id: self.ack,
        };
        let session = self.session.participant.session;
        let answer = Some((membership.seat as _, ticket));
        membership.room.send(Command::Leave { session, answer })
    }

    fn sync(self) -> Result<()> {
        self.session.budget.admit_request()?;
        let fields = Fields::parse(self.argument, self.attachments)?;
        let room = fields.room()?;
        let state_vector = fields.state_vector()?;
        let membership = self.session.membership(&room)?;
        let seat = membership.seat as _;
        let ticket = Ticket {
            request: request::DOCUMENT_SYNC,
            id: self.ack,
        };
        membership.room.send(Command::Sync {
            seat,
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
