//! Delivery of events to rooms, people and teams.
//!
//! ```text
//! Event       a feature publishes it: a name, audiences and content
//! Published   an event on its way to clients, with its id if it is durable
//! Audience    a room, a person, or a team
//! EventBus    finds the sessions that receive an event, and calls the subscribers
//! Announcer   announces events that are not stored
//! Subscriber  sends events to the members of rooms, or to the clients of a door
//! ```
//! A feature publishes within the transaction that writes its rows
//! ([`Transaction::publish`](crate::store::Transaction::publish)); the [store](Store) hands the event
//! to the bus after the commit, the events of one team in the order of their ids. Subscribers
//! deliver events and never write to the database. Events of other instances enter by
//! [`EventBus::deliver`] as well.
//!
//! What is out of date in a moment, such as who is online, is a passing event: it is announced
//! ([`EventBus::announce`]), has no id, and is not stored.
//!
//! The bus does not guarantee delivery: if the process ends between the commit and the delivery, no
//! client receives the event. A client that reconnects asks for the events after the last id that it
//! has seen.

mod event;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    mem,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::time::{Instant, sleep_until};

pub use self::event::{Audience, Event, Published, Urgency};
use crate::{
    error::Result,
    id::{DocumentKey, SessionId, Team},
    session::{Session, Sessions},
    store::{self, Store},
    supervise::{Supervisor, Task},
};

/// The longest time for which a relaxed event stays in a client's queue, if nothing else is sent to
/// the client.
const WAITS: Duration = Duration::from_secs(1);

/// A team with so many sessions is a crowd …
const CROWD: usize = 100;
/// … whose sessions are sent the events for the team at most so often. Each write to 2,000 clients takes some 20 ms of processor time,
/// and when all of them come back after a restart, each may have something to tell the team.
const CROWD_INTERVAL: Duration = Duration::from_millis(100);

/// Sends events to clients.
///
/// The methods are called for one event after the other. None may block, because it delays the
/// events behind it.
pub trait Subscriber: Send + Sync + 'static {
    /// Sends `event` to the members of `room`, if it is open on this instance. The event keeps its
    /// order among the room's updates.
    fn tell_room(&self, room: &DocumentKey, event: &Arc<Published>) {
        let _ = (room, event);
    }

    /// Queues `event` for the clients of those `sessions` that belong to this door. It is sent at the
    /// next [`flush`](Self::flush), or together with what is sent to a client before. A client that is
    /// a member of a room in the event's audiences is left out, since it receives the event there.
    fn tell_sessions(&self, sessions: &[Arc<Session>], event: &Arc<Published>) {
        let _ = (sessions, event);
    }

    /// Sends what is queued for the clients of those `sessions` that belong to this door.
    fn flush(&self, sessions: &[Arc<Session>]) {
        let _ = sessions;
    }
}

/// Delivers each event to the clients in its audiences. Cheap to clone.
#[derive(Clone)]
pub struct EventBus {
    inner: Arc<Inner>,
}

/// Announces passing events for as long as the bus exists. The default one has no bus. Cheap to
/// clone.
#[derive(Clone, Default)]
pub struct Announcer {
    bus: Weak<Inner>,
}

impl Announcer {
    /// As [`EventBus::announce`]; does nothing once the bus is gone.
    pub fn announce(&self, team: &Team, event: Event) -> usize {
        let bus = self.bus.upgrade();
        bus.map_or(0, |inner| EventBus { inner }.announce(team, event))
    }

    /// As [`EventBus::announce_to`]; does nothing once the bus is gone.
    pub fn announce_to(&self, team: &Team, sessions: &[Arc<Session>], event: Event) {
        if let Some(inner) = self.bus.upgrade() {
            EventBus { inner }.announce_to(team, sessions, event);
        }
    }
}

struct Inner {
    sessions: Sessions,
    supervisor: Supervisor,
    subscribers: RwLock<Vec<Arc<dyn Subscriber>>>,
    /// The teams to whose sessions an event was told that waits for a flush.
    waiting: Mutex<HashSet<Team>>,
    crowds: Mutex<HashMap<Team, Crowd>>,
}

/// When the sessions of a crowd were sent events last, or will be.
enum Crowd {
    SentAt(Instant),
    IsDue,
}

impl EventBus {
    /// A bus for the clients of `sessions`, without subscribers.
    pub fn new(sessions: Sessions, supervisor: Supervisor) -> Self {
        Self {
            inner: Arc::new(Inner {
                sessions,
                supervisor,
                subscribers: RwLock::default(),
                waiting: Mutex::default(),
                crowds: Mutex::default(),
            }),
        }
    }

    /// Adds a subscriber, which cannot be removed.
    pub fn subscribe(&self, subscriber: Arc<dyn Subscriber>) {
        self.inner.subscribers.write().push(subscriber);
    }

    /// Delivers the events that `store` commits from now on, and those that may wait, until the last
    /// clone of this bus is dropped. The store does not keep the bus alive, because the bus keeps its subscribers alive,
    /// and these use the store.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::error::Error::Conflict) where the store has a subscriber already.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn attach(&self, store: &Store) -> Result<()> {
        let inner = Arc::downgrade(&self.inner);
        store.subscribe(move |stored| {
            let Some(inner) = inner.upgrade() else {
                return;
            };
            let read = |stored: &store::Event| match Published::read(stored) {
                Ok(event) => Some(Arc::new(event)),
                Err(error) => {
                    let (team, id) = (stored.team.as_str(), stored.event_id.0);
                    tracing::error!(%error, team, id, "an event cannot be read; no client receives it");
                    None
                }
            };
            let events: Vec<_> = stored.iter().filter_map(read).collect();
            EventBus { inner }.deliver(&events);
        })?;
        let flush_waiting = |inner: Arc<Inner>| {
            let teams = mem::take(&mut *inner.waiting.lock());
            for team in teams {
                inner.flush(&inner.sessions.of_team(&team));
            }
        };
        let supervisor = &self.inner.supervisor;
        supervisor.repeat(Task::Announcements, WAITS, &self.inner, flush_waiting);
        Ok(())
    }

    /// Announces passing events on this bus, and does not keep it alive.
    pub fn announcer(&self) -> Announcer {
        Announcer {
            bus: Arc::downgrade(&self.inner),
        }
    }

    /// Sends a passing event of `team`, which is not stored, to all clients in its audiences on this
    /// instance. It has no order among the durable events. Returns the number of sessions that receive
    /// it because it is for their person or their team.
    pub fn announce(&self, team: &Team, event: Event) -> usize {
        self.deliver(&[Arc::new(Published::passing(team, event))])
    }

    /// Sends a passing event to the clients of these `sessions` of `team`, whatever its audiences:
    /// for events whose content depends on the receiver.
    pub fn announce_to(&self, team: &Team, sessions: &[Arc<Session>], event: Event) {
        let event = Arc::new(Published::passing(team, event));
        self.inner
            .each_subscriber(|subscriber| subscriber.tell_sessions(sessions, &event));
        self.inner.flush(sessions);
    }

    /// Sends `events`, in this order, to all clients in their audiences on this instance, each event
    /// once to each client. [Relaxed](Urgency::Relaxed) ones are sent together with what is sent to a
    /// client next, or after a second: so events that are frequent cost a busy connection no write of
    /// their own. Events for a team with 100 or more sessions are sent at once only if none was sent in the
    /// last 100 ms, otherwise together at the end of this time. A panic of a subscriber is logged and counted, and the other subscribers are still
    /// called. Returns how many sessions receive one, for each event, because it is for their person
    /// or their team.
    pub fn deliver(&self, events: &[Arc<Published>]) -> usize {
        let (mut prompt, mut told) = (Vec::new(), 0);
        for event in events {
            let mut sessions = self.inner.tell(event);
            told += sessions.len();
            match event.event.urgency {
                Urgency::Prompt
                    if event.event.is_for_team()
                        && sessions.len() >= CROWD
                        && !self.inner.may_send_to_crowd(&event.team) => {}
                Urgency::Prompt => prompt.append(&mut sessions),
                Urgency::Relaxed if sessions.is_empty() => {}
                Urgency::Relaxed => drop(self.inner.waiting.lock().insert(event.team.clone())),
            }
        }
        distinct(&mut prompt);
        self.inner.flush(&prompt);
        told
    }
}

impl Inner {
    /// Has all subscribers told of `event`, and returns the sessions that they may not have sent it
    /// to yet.
    fn tell(&self, event: &Arc<Published>) -> Vec<Arc<Session>> {
        let sessions = self.receivers(event);
        self.each_subscriber(|subscriber| {
            for room in event.rooms() {
                subscriber.tell_room(&room, event);
            }
            if !sessions.is_empty() {
                subscriber.tell_sessions(&sessions, event);
            }
        });
        sessions
    }

    /// Whether the sessions of a crowd are sent an event now; otherwise they are soon.
    fn may_send_to_crowd(self: &Arc<Self>, team: &Team) -> bool {
        let now = Instant::now();
        let mut crowds = self.crowds.lock();
        let due = match crowds.get(team) {
            Some(Crowd::IsDue) => return false,
            Some(Crowd::SentAt(at)) => *at + CROWD_INTERVAL,
            None => now,
        };
        if due <= now {
            // Forgets the crowds to which nothing was sent lately.
            crowds.retain(|_, crowd| match crowd {
                Crowd::SentAt(at) => *at + CROWD_INTERVAL > now,
                Crowd::IsDue => true,
            });
            crowds.insert(team.clone(), Crowd::SentAt(now));
            return true;
        }
        crowds.insert(team.clone(), Crowd::IsDue);
        drop(crowds);
        let (inner, team) = (Arc::downgrade(self), team.clone());
        self.supervisor.spawn(Task::CrowdFlush, async move {
            sleep_until(due).await;
            if let Some(inner) = inner.upgrade() {
                let sent_at = Crowd::SentAt(Instant::now());
                inner.crowds.lock().insert(team.clone(), sent_at);
                inner.flush(&inner.sessions.of_team(&team));
            }
        });
        false
    }

    fn flush(&self, sessions: &[Arc<Session>]) {
        if !sessions.is_empty() {
            self.each_subscriber(|subscriber| subscriber.flush(sessions));
        }
    }

    fn each_subscriber(&self, call: impl Fn(&dyn Subscriber)) {
        for subscriber in self.subscribers.read().iter() {
            self.supervisor
                .guard(Task::Delivery, || call(subscriber.as_ref()));
        }
    }

    /// The sessions that receive the event because it is for their person or their team, each
    /// once. Sessions that may not view the document that it is about are left out.
    fn receivers(&self, event: &Published) -> Vec<Arc<Session>> {
        let (team, all) = (&event.team, &self.sessions);
        let mut sessions = Vec::new();
        for audience in &event.event.to {
            match audience {
                Audience::Room(_) => {}
                Audience::User(user) => sessions.append(&mut all.of_user(team, user)),
                Audience::Team => sessions.append(&mut all.of_team(team)),
            }
        }
        distinct(&mut sessions);
        sessions.retain(|session| event.event.may_be_seen_by(session));
        sessions
    }
}

/// Leaves each session once.
fn distinct(sessions: &mut Vec<Arc<Session>>) {
    sessions.sort_unstable_by_key(|session| session.id());
    sessions.dedup_by_key(|session| -> SessionId { session.id() });
}
