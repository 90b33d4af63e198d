//! What happened, told to whoever is concerned: events, once they are durable.
//!
//! ```text
//! Event       what a feature publishes: its name, whom it concerns, its content
//! Published   an event with its place among those of its team
//! Audience    a room, a person, or a team
//! EventBus    finds out who is to be told, and has the subscribers tell them
//! Subscriber  what reaches the members of rooms, or the clients of a door
//! ```
//! A feature publishes within the transaction that writes its rows
//! ([`Transaction::publish`](crate::store::Transaction::publish)); the [store](Store) hands the event
//! to the bus after the commit, those of one team in the order of their ids. Subscribers deliver;
//! they never write. What other instances publish enters by [`EventBus::deliver`] as well.
//!
//! The bus is a hint: a process that ends between the commit and the delivery tells nobody. Clients
//! that reconnect ask for what they have missed, by the last id that they have seen.

mod event;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::RwLock;

pub use self::event::{Audience, Event, Published};
use crate::{
    error::Result,
    id::{DocumentKey, SessionId},
    session::{Session, Sessions},
    store::Store,
    supervise::{Supervisor, Task},
};

/// What reaches people. Its methods are called for one event after the other, and have to be quick.
pub trait Subscriber: Send + Sync + 'static {
    /// Tells the members of `room`, if it is open here, in order with its updates.
    fn tell_room(&self, room: &DocumentKey, event: &Arc<Published>) {
        let _ = (room, event);
    }

    /// Tells the clients of those of `sessions` that came through this door, except the members of
    /// a room to which the event goes as well.
    fn tell_sessions(&self, sessions: &[Arc<Session>], event: &Arc<Published>) {
        let _ = (sessions, event);
    }
}

/// Tells who is concerned. Cheap to clone.
#[derive(Clone)]
pub struct EventBus {
    inner: Arc<Inner>,
}

struct Inner {
    sessions: Sessions,
    supervisor: Supervisor,
    subscribers: RwLock<Vec<Arc<dyn Subscriber>>>,
}

impl EventBus {
    /// A bus to the people of `sessions`, without subscribers.
    pub fn new(sessions: Sessions, supervisor: Supervisor) -> Self {
        Self {
            inner: Arc::new(Inner {
                sessions,
                supervisor,
                subscribers: RwLock::default(),
            }),
        }
    }

    /// Adds a subscriber, for good.
    pub fn subscribe(&self, subscriber: Arc<dyn Subscriber>) {
        self.inner.subscribers.write().push(subscriber);
    }

    /// Has the events that `store` commits delivered.
    ///
    /// # Errors
    /// [`Error::Conflict`](crate::error::Error::Conflict) where the store has a subscriber already.
    pub fn attach(&self, store: &Store) -> Result<()> {
        let bus = self.clone();
        store.subscribe(move |events| {
            for stored in events {
                match Published::read(stored) {
                    Ok(event) => bus.deliver(&Arc::new(event)),
                    Err(error) => {
                        let (team, id) = (stored.team.as_str(), stored.event_id.0);
                        tracing::error!(%error, team, id, "an event that nobody can be told of");
                    }
                }
            }
        })
    }

    /// Tells all whom `event` concerns on this instance, each client once. A panic of a subscriber
    /// is logged and counted, and the others are told.
    pub fn deliver(&self, event: &Arc<Published>) {
        let sessions = self.concerned(event);
        for subscriber in self.inner.subscribers.read().iter() {
            let tell = || {
                for room in event.rooms() {
                    subscriber.tell_room(&room, event);
                }
                if !sessions.is_empty() {
                    subscriber.tell_sessions(&sessions, event);
                }
            };
            self.inner.supervisor.guard(Task::Delivery, tell);
        }
    }

    /// The sessions to which the event goes as those of a person or of a team, each once: those that
    /// may view the document that it is about.
    fn concerned(&self, event: &Published) -> Vec<Arc<Session>> {
        let (team, all) = (&event.team, &self.inner.sessions);
        let mut sessions = Vec::new();
        for audience in &event.event.to {
            match audience {
                Audience::Room(_) => {}
                Audience::User(user) => sessions.append(&mut all.of_user(team, user)),
                Audience::Team => sessions.append(&mut all.of_team(team)),
            }
        }
        sessions.sort_unstable_by_key(|session| session.id());
        sessions.dedup_by_key(|session| -> SessionId { session.id() });
        sessions.retain(|session| event.event.may_be_seen_by(session));
        sessions
    }
}
