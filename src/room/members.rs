//! Who sits in a room, and who of them cannot keep up.
//!
//! A member is live until a message finds its queue full. Then nothing more is
//! queued for it: when its queue has drained it is told to synchronise anew,
//! and when it does, it is live again and has missed nothing. One that does
//! not drain in time is cut. So a queue is bounded, and a hole is impossible.
//! Cursors are only worth something while they are new: they never fill a
//! queue, a member that reads too slowly for them is told less often.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use document::{StateVector, awareness::Generation};
use foldhash::fast::RandomState;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Delivery, Extent, Member, Message, Outgoing, ResyncReason, Seat};
use crate::{
    id::{SessionId, Timestamp, UserId},
    metrics::Metrics,
};

/// From so many waiting bytes on a member is told of cursors later.
const CURSORS_QUEUED_MAX: usize = 16 * 1024;

/// The seats of one room.
pub(super) struct Members {
    seats: Vec<Occupant>,
    places: HashMap<SessionId, usize, RandomState>,
    behind: usize,
    /// Somebody was not told of the newest cursors yet.
    unseen: bool,
    /// How many messages are queued that were not sent.
    unsent: u64,
    metrics: Metrics,
}

/// Cursors that moved.
pub(super) struct Moved {
    /// What most are told; nothing if nobody moved since the last time.
    pub(super) news: Option<Bytes>,
    /// When they moved.
    pub(super) generation: Generation,
    /// Nobody is told later, for what would be told then says nothing of who left.
    pub(super) urgent: bool,
    /// The only one who moved.
    pub(super) except: Option<SessionId>,
}

/// One member.
pub(super) struct Occupant {
    pub(super) seat: Arc<dyn Seat>,
    pub(super) last_seen_at: Timestamp,
    /// What the client said to have, when it synchronised, that was not here.
    declared: StateVector,
    pace: Pace,
    /// The first generation of cursors that it was not told of.
    unseen: Option<Generation>,
    /// Something is queued that was not sent.
    unsent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// Gets everything.
    Live,
    /// Its queue was full: gets nothing until it has drained.
    Behind { since: Instant },
    /// Was told to synchronise anew: gets no updates before it has.
    AwaitingSync,
}

/// How many seats got a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) receivers: u64,
    pub(super) bytes: u64,
}

impl Members {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            seats: Vec::new(),
            places: HashMap::default(),
            behind: 0,
            unseen: false,
            unsent: 0,
            metrics,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.seats.len()
    }

    /// Whether somebody's queue has yet to drain.
    pub(super) fn any_behind(&self) -> bool {
        self.behind > 0
    }

    pub(super) fn find(&mut self, session: SessionId) -> Option<&mut Occupant> {
        let place = *self.places.get(&session)?;
        self.seats.get_mut(place)
    }

    /// What a session said to have, when it synchronised, that was not here.
    pub(super) fn declared(&self, session: SessionId) -> &StateVector {
        static NOTHING: LazyLock<StateVector> = LazyLock::new(StateVector::default);
        let place = self.places.get(&session);
        place.map_or(&*NOTHING, |place| &self.seats[*place].declared)
    }

    /// The person of a session that is present.
    pub(super) fn user(&self, session: SessionId) -> Option<&UserId> {
        let place = *self.places.get(&session)?;
        self.seats
            .get(place)
            .map(|occupant| &occupant.seat.participant().user.id)
    }

    /// Gives `seat` a place; a seat that the session already has is replaced.
    pub(super) fn admit(&mut self, seat: Arc<dyn Seat>, declared: StateVector, now: Timestamp) {
        let session = seat.participant().session;
        self.remove(session);
        self.places.insert(session, self.seats.len());
        self.seats.push(Occupant {
            seat,
            last_seen_at: now,
            declared,
            pace: Pace::Live,
            unseen: None,
            unsent: false,
        });
    }

    /// Takes the session's seat away; `false` if it had none.
    pub(super) fn remove(&mut self, session: SessionId) -> bool {
        let Some(place) = self.places.remove(&session) else {
            return false;
        };
        let gone = self.seats.swap_remove(place);
        if let Some(moved) = self.seats.get(place) {
            self.places.insert(moved.seat.participant().session, place);
        }
        self.set_behind(gone.pace, Pace::Live);
        true
    }

    /// Tells every live member but `except`. Who has no room for it falls behind.
    pub(super) fn tell(
        &mut self,
        message: Message,
        except: Option<SessionId>,
        now: Instant,
    ) -> Told {
        let size = message.bytes() as u64;
        let outgoing = Outgoing::new(message);
        let mut told = Told::default();
        let mut fell_behind = 0;
        for occupant in &mut self.seats {
            if occupant.pace != Pace::Live || Some(occupant.seat.participant().session) == except {
                continue;
            }
            match occupant.seat.deliver(&outgoing) {
                Delivery::Queued => {
                    occupant.unsent = true;
                    told.receivers += 1;
                    told.bytes += size;
                }
                Delivery::Full => {
                    occupant.pace = Pace::Behind { since: now };
                    fell_behind += 1;
                }
            }
        }
        self.unsent += told.receivers;
        self.fell_behind(fell_behind);
        told
    }

    fn fell_behind(&mut self, count: usize) {
        self.behind += count;
        (0..count).for_each(|_| self.metrics.lagging_started());
    }

    /// Whether somebody is yet to be told of the newest cursors.
    pub(super) fn any_unseen(&self) -> bool {
        self.unseen
    }

    /// Tells every live member but one of moved cursors. Who has much to read is
    /// passed over, and told when it has read, in one message that `since` makes,
    /// what moved from then on.
    pub(super) fn show(
        &mut self,
        moved: Moved,
        mut since: impl FnMut(Generation) -> Bytes,
        now: Instant,
    ) -> Told {
        let news = moved
            .news
            .map(|news| Outgoing::new(Message::Awareness(news)));
        let mut late: SmallVec<[(Generation, Outgoing); 4]> = SmallVec::new();
        let mut told = Told::default();
        let mut fell_behind = 0;
        self.unseen = false;
        for occupant in &mut self.seats {
            if occupant.pace != Pace::Live {
                occupant.unseen = None;
                continue;
            }
            if occupant.seat.queued_bytes() > CURSORS_QUEUED_MAX && !moved.urgent {
                occupant.unseen.get_or_insert(moved.generation);
                self.unseen = true;
                continue;
            }
            let unseen = match moved.urgent {
                true => None,
                false => occupant.unseen.take(),
            };
            self.unseen |= occupant.unseen.is_some();
            let outgoing = match (unseen, &news) {
                (Some(from), _) => {
                    let made = late.iter().position(|(made, _)| *made == from);
                    let at = made.unwrap_or_else(|| {
                        late.push((from, Outgoing::new(Message::Awareness(since(from)))));
                        late.len() - 1
                    });
                    &late[at].1
                }
                (None, Some(news)) if Some(occupant.seat.participant().session) != moved.except => {
                    news
                }
                (None, _) => continue,
            };
            match occupant.seat.deliver(outgoing) {
                Delivery::Queued => {
                    occupant.unsent = true;
                    told.receivers += 1;
                    told.bytes += outgoing.message.bytes() as u64;
                }
                Delivery::Full => {
                    occupant.pace = Pace::Behind { since: now };
                    fell_behind += 1;
                }
            }
        }
        self.unsent += told.receivers;
        self.fell_behind(fell_behind);
        told
    }

    /// Tells every member, live or not, something that is not about content.
    /// Who cannot even take that is cut, and learns it on joining again.
    pub(super) fn announce(&mut self, message: Message) {
        let outgoing = Outgoing::new(message);
        for occupant in &self.seats {
            match occupant.seat.deliver(&outgoing) {
                Delivery::Queued => occupant.seat.flush(Extent::of(self.seats.len())),
                Delivery::Full => occupant.seat.cut("lagging"),
            }
        }
    }

    /// Sends everyone what was queued since the last time, in one write each.
    pub(super) fn flush(&mut self) {
        if self.unsent == 0 {
            return;
        }
        self.unsent = 0;
        let extent = Extent::of(self.seats.len());
        for occupant in &mut self.seats {
            if std::mem::take(&mut occupant.unsent) {
                occupant.seat.flush(extent);
            }
        }
    }

    /// Has every member synchronise anew.
    pub(super) fn resync_all(&mut self, reason: ResyncReason, now: Instant) {
        self.tell(Message::Resync(reason), None, now);
        for occupant in &mut self.seats {
            if occupant.pace == Pace::Live {
                occupant.pace = Pace::AwaitingSync;
            }
        }
    }

    /// The session has synchronised and has what is `declared` besides what is here:
    /// it gets everything from here on.
    pub(super) fn synced(&mut self, session: SessionId, declared: StateVector) {
        let Some(place) = self.places.get(&session).copied() else {
            return;
        };
        let occupant = &mut self.seats[place];
        occupant.declared = declared;
        occupant.unseen = None;
        let before = std::mem::replace(&mut occupant.pace, Pace::Live);
        self.set_behind(before, Pace::Live);
    }

    /// Tells the drained to synchronise, and cuts who has not drained in time.
    pub(super) fn tend(&mut self, now: Instant, queue_bytes_max: usize, patience: Duration) {
        let mut drained = 0;
        for occupant in &mut self.seats {
            let Pace::Behind { since } = occupant.pace else {
                continue;
            };
            let resync = Outgoing::new(Message::Resync(ResyncReason::Lagging));
            let room = occupant.seat.queued_bytes() <= queue_bytes_max / 4;
            if room && occupant.seat.deliver(&resync) == Delivery::Queued {
                occupant.seat.flush(Extent::Many);
                occupant.pace = Pace::AwaitingSync;
                drained += 1;
            } else if now.duration_since(since) >= patience {
                occupant.seat.cut("lagging");
            }
        }
        self.behind -= drained;
        (0..drained).for_each(|_| self.metrics.lagging_ended());
    }

    /// The people present, each once, last heard of where they were last heard of.
    pub(super) fn people(&self) -> Vec<Member> {
        let mut people: Vec<Member> = Vec::with_capacity(self.seats.len());
        let mut places: HashMap<&UserId, usize> = HashMap::with_capacity(self.seats.len());
        for occupant in &self.seats {
            let user = &occupant.seat.participant().user;
            let place = *places.entry(&user.id).or_insert(people.len());
            match people.get_mut(place) {
                Some(person) => {
                    person.last_seen_at = person.last_seen_at.max(occupant.last_seen_at);
                }
                None => people.push(Member {
                    user: user.clone(),
                    last_seen_at: occupant.last_seen_at,
                }),
            }
        }
        people
    }

    fn set_behind(&mut self, before: Pace, after: Pace) {
        if matches!(before, Pace::Behind { .. }) && !matches!(after, Pace::Behind { .. }) {
            self.behind -= 1;
            self.metrics.lagging_ended();
        }
    }
}
