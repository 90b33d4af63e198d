//! The audiences of a room: its seats, grouped by their doors.
//!
//! A room tells each message once. Each door with seats in the room encodes it once for its
//! wire and delivers it to each of its seats (`seats.rs`).

use std::{
    any::{Any, TypeId},
    sync::Arc,
};

use bytes::Bytes;
use document::awareness::Generation;
use smallvec::SmallVec;

use super::{
    Message, Peer,
    seats::{Audience, AwarenessChange, AwarenessShown, Deliveries, Door, Gate, Seats},
};
use crate::id::SessionId;

/// The seats of one room, grouped by their doors.
#[derive(Default)]
pub struct Audiences {
    by_door: SmallVec<[(TypeId, Box<dyn Audience>); 1]>,
}

impl Audiences {
    /// Adds `seat` to the audience of its door. `door` makes the door's value for this room if the
    /// seat is the first one. A seat that the session already has is replaced.
    pub fn seat<D: Door>(&mut self, door: impl FnOnce() -> D, seat: Arc<D::Seat>) {
        self.remove(seat.identity().session);
        let id = TypeId::of::<D>();
        let at = self.by_door.iter().position(|(other, _)| *other == id);
        let at = at.unwrap_or_else(|| {
            let seats: Seats<D> = Seats::new(door());
            self.by_door.push((id, Box::new(seats)));
            self.by_door.len() - 1
        });
        let seats: &mut dyn Any = &mut *self.by_door[at].1;
        if let Some(seats) = seats.downcast_mut::<Seats<D>>() {
            seats.admit(seat);
        }
    }

    /// Removes the session's seat, if it has one.
    pub(super) fn remove(&mut self, session: SessionId) {
        self.each(|audience| audience.remove(session));
    }

    /// Tells every open seat but `except`. Seats whose queue is full are shut, and their sessions
    /// are added to `full`.
    pub(super) fn tell(
        &mut self,
        message: &Message,
        except: Option<SessionId>,
        full: &mut Vec<SessionId>,
    ) -> Deliveries {
        let mut told = Deliveries::default();
        self.each(|audience| audience.tell(message, except, &mut told, full));
        told
    }

    /// Tells one seat, whether it is open or shut.
    pub(super) fn tell_one(
        &mut self,
        session: SessionId,
        message: &Message,
        full: &mut Vec<SessionId>,
    ) {
        self.each(|audience| audience.tell_one(session, message, full));
    }

    /// Shows every open seat but one the changed awareness states. Seats with many queued bytes are
    /// passed over. When these have been written, one message, which `since` makes, shows the seat
    /// everything that has changed meanwhile.
    pub(super) fn show(
        &mut self,
        change: &AwarenessChange,
        mut since: impl FnMut(Generation) -> Bytes,
        full: &mut Vec<SessionId>,
    ) -> (Deliveries, AwarenessShown) {
        let (mut told, mut shown) = (Deliveries::default(), AwarenessShown::ToAll);
        self.each(|audience| {
            if audience.show(change, &mut since, &mut told, full) == AwarenessShown::NotToAll {
                shown = AwarenessShown::NotToAll;
            }
        });
        (told, shown)
    }

    /// Tells every seat, whether it is open or shut, something that is not about content. Seats
    /// whose queue is full for it are cut, and learn it when they join again.
    pub(super) fn announce(&mut self, message: &Message) {
        self.each(|audience| audience.announce(message));
    }

    /// Opens or shuts the session's seat.
    pub(super) fn set_gate(&mut self, session: SessionId, gate: Gate) {
        self.each(|audience| audience.set_gate(session, gate));
    }

    /// Flushes every seat that has queued messages, in one write each.
    pub(super) fn flush(&mut self) {
        self.each(|audience| audience.flush());
    }

    fn each(&mut self, mut act: impl FnMut(&mut dyn Audience)) {
        for (_, audience) in &mut self.by_door {
            act(&mut **audience);
        }
    }
}
