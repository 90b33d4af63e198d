//! When the team is told that a document was edited, and by whom.

use std::{collections::HashMap, time::Duration};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::{
    auth::User,
    id::{SessionId, Timestamp},
    session::Identity,
};

/// How often the activity is told of a session that goes on editing.
const WRITER_EVERY: Duration = Duration::from_secs(10 * 60);

/// The edits that the team was not told of yet, and when it may be told.
#[derive(Debug)]
pub(super) struct EditNotices {
    /// When the document was last edited, if the team was not told of it yet.
    pub(super) untold: Option<Timestamp>,
    /// The earliest time of the next notice.
    pub(super) due: Instant,
    /// Who has edited and is not in the activity yet.
    writers: Vec<User>,
    /// When each session was last added to the writers.
    noted: HashMap<SessionId, Instant, RandomState>,
}

impl EditNotices {
    /// The first edit is told at once.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            untold: None,
            due: now,
            writers: Vec::new(),
            noted: HashMap::default(),
        }
    }

    /// Notes who edits. It is called for every accepted update.
    pub(super) fn wrote(&mut self, who: &Identity, now: Instant) {
        let is_recent = |at: &Instant| now.duration_since(*at) < WRITER_EVERY;
        if self.noted.get(&who.session).is_some_and(is_recent) {
            return;
        }
        self.noted.retain(|_, at| is_recent(at));
        self.noted.insert(who.session, now);
        if self.writers.iter().all(|user| user.id != who.user.id) {
            self.writers.push(User::clone(&who.user));
        }
    }

    /// Takes those who have edited since the last notice.
    pub(super) fn take_writers(&mut self) -> Vec<User> {
        std::mem::take(&mut self.writers)
    }
}
