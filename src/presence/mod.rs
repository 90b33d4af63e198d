//! Presence of people: who is connected, in which rooms, and whether they are busy.
//!
//! ```text
//! Presence   doors report to it what happens to sessions, and read lists from it
//! Entry      what others see of a person
//! Core       who is present, and what is told when: pure, with the time as a parameter
//! ```
//! The unit of record is the session; others see one entry for a person, whatever the number of tabs
//! and devices. Presence is kept in memory only, for this instance: clients that reconnect after a
//! restart are present again.
//!
//! A report changes memory under a lock that is held for a moment, and returns. One task tells the
//! news every 100 ms, outside of the lock. An entry names only rooms that its receiver may view: the
//! receivers are grouped by what they may see, so that each group's message is encoded once.

mod core;
mod entry;
mod pace;
mod tick;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use serde::Serialize;
use smallvec::SmallVec;
use tokio::time::Instant;
use utoipa::ToSchema;

pub use self::entry::{Activity, Change, Entry, Status};
use self::{
    core::{Core, Now},
    entry::Visible,
    tick::News,
};
use crate::{
    auth::{Claims, Right},
    bus::{Announcer, Event},
    error::Result,
    id::{RoomName, Team, Timestamp, UserId},
    metrics::Metrics,
    session::{Session, Sessions},
    supervise::{Supervisor, Task},
};

/// How often the news are told.
const TICK: Duration = Duration::from_millis(100);
/// The most people in a list.
const LISTED_MAX: usize = 500;

/// The event with the entry of one person.
pub const PRESENCE_UPDATE: &str = "presence_update";
/// The event with the number of people in a large team.
pub const PRESENCE_CHANGED: &str = "presence_changed";

/// Who is present. Cheap to clone.
#[derive(Clone)]
pub struct Presence {
    shared: Arc<Shared>,
}

struct Shared {
    core: Mutex<Core>,
    sessions: Sessions,
    announcer: Announcer,
    metrics: Metrics,
    supervisor: Supervisor,
}

/// A list of people who are present.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PresenceList {
    /// Always true; an answer with an error has no list.
    pub ok: bool,
    /// The people in the order of their ids, at most 500.
    pub users: Vec<Entry>,
    /// How many people there are.
    pub users_total: usize,
}

/// The payload of [`PRESENCE_CHANGED`].
#[derive(Serialize, ToSchema)]
#[schema(as = PresenceChanged)]
pub struct Changed {
    users_total: usize,
}

impl Presence {
    /// Presence without people. `announcer` tells the news to `sessions`.
    pub fn new(
        sessions: Sessions,
        announcer: Announcer,
        metrics: Metrics,
        supervisor: Supervisor,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                core: Mutex::default(),
                sessions,
                announcer,
                metrics,
                supervisor,
            }),
        }
    }

    /// Spawns the task that tells the news, until the last clone of this is dropped.
    pub fn watch(&self) {
        let supervisor = &self.shared.supervisor;
        supervisor.repeat(Task::Presence, TICK, &self.shared, |shared| {
            // After a panic the next tick tells what comes then.
            shared.supervisor.guard(Task::Presence, || shared.tick());
        });
    }

    /// A session has begun. It has to be called before anything else of this session.
    pub fn arrive(&self, session: &Arc<Session>) {
        let now = Now::read();
        session.seen(now.time);
        self.shared.core.lock().arrive(session, now);
    }

    /// A session has ended, for any reason. What it contributed is shown for 5 s more, unless another
    /// session of the person contributes the same. Further calls have no effect.
    pub fn depart(&self, session: &Session) {
        self.shared.core.lock().depart(session, Now::read());
    }

    /// A session has become a member of `room`.
    pub fn enter(&self, session: &Session, room: &RoomName) {
        self.shared.core.lock().enter(session, room, Now::read());
    }

    /// A session is no longer a member of `room`, although it has not ended.
    pub fn exit(&self, session: &Session, room: &RoomName) {
        self.shared.core.lock().exit(session, room, Now::read());
    }

    /// A client changes what its session contributes.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::error::Error::Forbidden) for an activity in a document that the
    /// session may not view.
    pub fn update(&self, session: &Session, change: Change) -> Result<()> {
        if let Some(Some(activity)) = &change.activity
            && let Some(room) = &activity.room
        {
            session.rights_in(room).require(Right::View)?;
        }
        self.shared.core.lock().update(session, change, Now::read());
        Ok(())
    }

    /// A session has a fresh token: it is told the entries as it may see them now.
    pub fn renew(&self, session: &Session) {
        let claims = session.claims();
        self.shared.core.lock().renew(session, &claims, Now::read());
    }

    /// A session has missed news, because its queue was full: it is told the entries a second later,
    /// and again until its queue has room.
    pub fn missed(&self, session: &Arc<Session>) {
        self.shared.core.lock().missed(session, Now::read());
    }

    /// The people who are present in the team of `claims`, or in one of its rooms, as `claims` may see
    /// them.
    ///
    /// # Errors
    /// [`Error::Forbidden`](crate::error::Error::Forbidden) for a room that may not be viewed.
    pub fn list(&self, claims: &Claims, room: Option<&RoomName>) -> Result<PresenceList> {
        if let Some(room) = room {
            claims.rights_in(room).require(Right::View)?;
        }
        let (users, users_total) = self.shared.core.lock().list(claims, room, LISTED_MAX);
        Ok(PresenceList {
            ok: true,
            users,
            users_total,
        })
    }

    /// The entries of these people as `claims` may see them; `None` for who is not present.
    pub fn entries_of<'a>(
        &self,
        claims: &Claims,
        people: impl Iterator<Item = &'a UserId>,
    ) -> Vec<Option<Entry>> {
        let core = self.shared.core.lock();
        people.map(|user| core.find(claims, user)).collect()
    }
}

impl Shared {
    /// Tells what has happened since the last tick.
    fn tick(&self) {
        let all = self.core.lock().tick(Now::read());
        for news in all {
            self.tell(&news);
        }
    }

    /// Tells the news of one team.
    fn tell(&self, news: &News) {
        let all = self.sessions.of_team(&news.team);
        for (entry, to) in &news.entries {
            for (visible, sessions) in grouped(entry, to.among(&all)) {
                let seen = entry.clone().seen(visible);
                self.send(&news.team, &sessions, PRESENCE_UPDATE, &seen);
            }
        }
        if let Some((users_total, to)) = &news.users_total {
            let changed = Changed {
                users_total: *users_total,
            };
            self.send(&news.team, to.among(&all), PRESENCE_CHANGED, &changed);
        }
    }

    fn send(
        &self,
        team: &Team,
        sessions: &[Arc<Session>],
        name: &'static str,
        body: &impl Serialize,
    ) {
        // The cause of an error is logged there.
        if let Ok(event) = Event::new(name, Vec::new(), body) {
            self.announcer.announce_to(team, sessions, event);
            self.metrics.presence_told(sessions.len() as u64);
        }
    }
}

/// The receivers, grouped by what they may see of `entry`.
fn grouped(
    entry: &Entry,
    receivers: &[Arc<Session>],
) -> SmallVec<[(Visible, Vec<Arc<Session>>); 2]> {
    let mut groups: SmallVec<[(Visible, Vec<Arc<Session>>); 2]> = SmallVec::new();
    for session in receivers {
        let visible = entry.visible_to(&session.claims());
        match groups.iter_mut().find(|(other, _)| *other == visible) {
            Some((_, sessions)) => sessions.push(Arc::clone(session)),
            None => groups.push((visible, vec![Arc::clone(session)])),
        }
    }
    groups
}

impl Now {
    fn read() -> Self {
        Self {
            instant: Instant::now(),
            time: Timestamp::now(),
        }
    }
}
