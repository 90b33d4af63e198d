//! The seats of one door in one room.
//!
//! A seat whose queue is full is shut at once, and receives nothing more until the room's core
//! opens it again. So queues are bounded, and no seat misses a message and gets later ones.
//! Awareness states are only useful while they are new: they never fill a queue, and a seat that
//! reads slowly is shown them less often.

use std::{any::Any, collections::HashMap, sync::Arc};

use bytes::Bytes;
use document::awareness::Generation;
use foldhash::fast::RandomState;
use smallvec::SmallVec;

use super::{Message, Peer};
use crate::id::SessionId;

/// A seat with more queued bytes than this is shown awareness states later.
const AWARENESS_QUEUED_MAX: usize = 16 * 1024;

/// A way into rooms with a wire protocol of its own: how one room's messages are written to its
/// seats.
pub trait Door: Send + 'static {
    /// The type of this door's seats.
    type Seat: Peer;
    /// A message in the encoding of this door.
    type Wire;

    /// Encodes `message` for the wire. It is called once for each message, not for each seat.
    fn encode(&self, message: &Message) -> Self::Wire;

    /// Queues `wire`, the encoded `message`, for `seat`; [`Peer::flush`] sends it.
    fn deliver(&self, seat: &Self::Seat, message: &Message, wire: &Self::Wire) -> Delivery;
}

/// Whether a message was queued for a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was.
    Queued,
    /// It was not, because the queue is full: the session is lagging.
    Full,
}

/// How many seats received messages, and how many bytes they received together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Deliveries {
    pub(super) receivers: u64,
    pub(super) bytes: u64,
}

/// Whether a seat receives what the room tells everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Shut,
}

/// Whether all open seats were shown the newest awareness states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AwarenessShown {
    #[default]
    ToAll,
    NotToAll,
}

/// Awareness states that have changed.
pub(super) struct AwarenessChange {
    /// What has changed since the last relay; `None` if nothing has.
    pub(super) states: Option<Bytes>,
    /// The generation of these changes.
    pub(super) generation: Generation,
    /// Contains removals. A later message with all changes since some generation cannot express
    /// these, so that every seat has to receive this message now.
    pub(super) urgent: bool,
    /// The only session that made the changes; it is not told.
    pub(super) except: Option<SessionId>,
}

/// The seats of one door in one room, whatever the door is.
pub(super) trait Audience: Any + Send {
    fn remove(&mut self, session: SessionId);
    fn tell(
        &mut self,
        message: &Message,
        except: Option<SessionId>,
        told: &mut Deliveries,
        full: &mut Vec<SessionId>,
    );
    fn tell_one(&mut self, session: SessionId, message: &Message, full: &mut Vec<SessionId>);
    fn show(
        &mut self,
        change: &AwarenessChange,
        since: &mut dyn FnMut(Generation) -> Bytes,
        told: &mut Deliveries,
        full: &mut Vec<SessionId>,
    ) -> AwarenessShown;
    fn announce(&mut self, message: &Message);
    fn set_gate(&mut self, session: SessionId, gate: Gate);
    fn flush(&mut self);
}

/// The seats of the door `D` in one room.
pub(super) struct Seats<D: Door> {
    door: D,
    seats: Vec<Seat<D>>,
    places: HashMap<SessionId, usize, RandomState>,
    /// How many seats have queued messages that were not flushed.
    unsent: usize,
}

struct Seat<D: Door> {
    peer: Arc<D::Seat>,
    session: SessionId,
    gate: Gate,
    /// The first generation of awareness states that it was not shown.
    unseen: Option<Generation>,
    /// Whether it has queued messages that were not flushed.
    unsent: bool,
}

impl<D: Door> Seats<D> {
    pub(super) fn new(door: D) -> Self {
        Self {
            door,
            seats: Vec::new(),
            places: HashMap::default(),
            unsent: 0,
        }
    }

    pub(super) fn admit(&mut self, peer: Arc<D::Seat>) {
        let session = peer.identity().session;
        self.places.insert(session, self.seats.len());
        self.seats.push(Seat {
            peer,
            session,
            gate: Gate::Open,
            unseen: None,
            unsent: false,
        });
    }

    fn find(&mut self, session: SessionId) -> Option<&mut Seat<D>> {
        let place = *self.places.get(&session)?;
        self.seats.get_mut(place)
    }
}

/// Which awareness states a seat is shown now.
enum Due {
    Nothing,
    /// What has changed since the last relay.
    New,
    /// What has changed since this generation, because the seat was passed over then.
    Since(Generation),
}

/// An awareness message, and its encoding by a door.
struct Encoded<D: Door> {
    message: Message,
    wire: D::Wire,
}

impl<D: Door> Encoded<D> {
    fn new(door: &D, bytes: Bytes) -> Self {
        let message = Message::Awareness(bytes);
        let wire = door.encode(&message);
        Self { message, wire }
    }
}

/// The messages for seats that were passed over before: one for each generation from which on
/// a seat has missed changes, made and encoded once.
struct Missed<D: Door>(SmallVec<[(Generation, Encoded<D>); 1]>);

impl<D: Door> Default for Missed<D> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<D: Door> Missed<D> {
    /// The changes from the generation `from` on.
    fn since(
        &mut self,
        from: Generation,
        door: &D,
        changes: &mut dyn FnMut(Generation) -> Bytes,
    ) -> &Encoded<D> {
        let made = self.0.iter().position(|(made, _)| *made == from);
        let at = made.unwrap_or_else(|| {
            self.0.push((from, Encoded::new(door, changes(from))));
            self.0.len() - 1
        });
        &self.0[at].1
    }
}

impl<D: Door> Seat<D> {
    /// Which states to show now. A seat with many queued bytes is passed over, unless the change is
    /// urgent.
    fn due(&mut self, change: &AwarenessChange) -> Due {
        if self.gate == Gate::Shut {
            return Due::Nothing;
        }
        if !change.urgent {
            if self.peer.queued_bytes() > AWARENESS_QUEUED_MAX {
                self.unseen.get_or_insert(change.generation);
                return Due::Nothing;
            }
            if let Some(from) = self.unseen.take() {
                return Due::Since(from);
            }
        }
        match Some(self.session) == change.except {
            true => Due::Nothing,
            false => Due::New,
        }
    }

    /// Queues a message; shuts the seat if the queue is full.
    fn deliver(
        &mut self,
        door: &D,
        message: &Message,
        wire: &D::Wire,
        unsent: &mut usize,
    ) -> Delivery {
        let delivery = door.deliver(&self.peer, message, wire);
        match delivery {
            Delivery::Queued => {
                *unsent += usize::from(!self.unsent);
                self.unsent = true;
            }
            Delivery::Full => {
                self.gate = Gate::Shut;
                self.unseen = None;
            }
        }
        delivery
    }
}

impl<D: Door> Audience for Seats<D> {
    fn remove(&mut self, session: SessionId) {
        let Some(place) = self.places.remove(&session) else {
            return;
        };
        let removed = self.seats.swap_remove(place);
        self.unsent -= usize::from(removed.unsent);
        if let Some(moved) = self.seats.get(place) {
            self.places.insert(moved.session, place);
        }
        if removed.unsent {
            removed.peer.flush(1);
        }
    }

    fn tell(
        &mut self,
        message: &Message,
        except: Option<SessionId>,
        told: &mut Deliveries,
        full: &mut Vec<SessionId>,
    ) {
        if self.seats.is_empty() {
            return;
        }
        let wire = self.door.encode(message);
        for seat in &mut self.seats {
            if seat.gate == Gate::Shut || Some(seat.session) == except {
                continue;
            }
            match seat.deliver(&self.door, message, &wire, &mut self.unsent) {
                Delivery::Queued => told.add(message),
                Delivery::Full => full.push(seat.session),
            }
        }
    }

    fn tell_one(&mut self, session: SessionId, message: &Message, full: &mut Vec<SessionId>) {
        let Some(place) = self.places.get(&session).copied() else {
            return;
        };
        let wire = self.door.encode(message);
        let seat = &mut self.seats[place];
        if seat.deliver(&self.door, message, &wire, &mut self.unsent) == Delivery::Full {
            full.push(session);
        }
    }

    fn show(
        &mut self,
        change: &AwarenessChange,
        since: &mut dyn FnMut(Generation) -> Bytes,
        told: &mut Deliveries,
        full: &mut Vec<SessionId>,
    ) -> AwarenessShown {
        if self.seats.is_empty() {
            return AwarenessShown::ToAll;
        }
        let door = &self.door;
        let states = change.states.clone();
        let states = states.map(|states| Encoded::new(door, states));
        let mut missed = Missed::default();
        let mut shown = AwarenessShown::ToAll;
        for seat in &mut self.seats {
            let due = seat.due(change);
            if seat.unseen.is_some() {
                shown = AwarenessShown::NotToAll;
            }
            let encoded = match (due, &states) {
                (Due::Since(from), _) => missed.since(from, door, since),
                (Due::New, Some(states)) => states,
                (Due::New, None) | (Due::Nothing, _) => continue,
            };
            let Encoded { message, wire } = encoded;
            match seat.deliver(door, message, wire, &mut self.unsent) {
                Delivery::Queued => told.add(message),
                Delivery::Full => full.push(seat.session),
            }
        }
        shown
    }

    fn announce(&mut self, message: &Message) {
        if self.seats.is_empty() {
            return;
        }
        let wire = self.door.encode(message);
        let among = self.seats.len();
        for seat in &self.seats {
            match self.door.deliver(&seat.peer, message, &wire) {
                Delivery::Queued => seat.peer.flush(among),
                Delivery::Full => seat.peer.cut("lagging"),
            }
        }
    }

    fn set_gate(&mut self, session: SessionId, gate: Gate) {
        if let Some(seat) = self.find(session) {
            seat.gate = gate;
            seat.unseen = None;
        }
    }

    fn flush(&mut self) {
        if self.unsent == 0 {
            return;
        }
        self.unsent = 0;
        let among = self.seats.len();
        for seat in &mut self.seats {
            if std::mem::take(&mut seat.unsent) {
                seat.peer.flush(among);
            }
        }
    }
}

impl Deliveries {
    pub(super) fn add(&mut self, message: &Message) {
        self.receivers += 1;
        self.bytes += message.bytes() as u64;
    }
}
