//! What is told of the people of a team, and when.
//!
//! Between two ticks of a team changes are collected, and only the newest entry of each person is
//! told:
//!
//! - What a session contributes stays for [`KEPT_FOR`] after it has ended, and an entry that is as it
//!   was told before is not told again. So nobody sees that a page is reloaded.
//! - A person's entry is told [`TELLS_MAX`](super::pace::TELLS_MAX) times in a row, and then once in [`TELL_EVERY`](super::pace::TELL_EVERY).
//! - In a team of more than [`TEAM_MAX`] people, telling everybody of everybody would cost the square
//!   of their number. There an entry is told to the person's own sessions and in those of the
//!   person's rooms that have at most as many sessions; the whole team is told how many people are
//!   present, from which a client knows that a list that it shows may be old.

use std::{mem, sync::Arc};

use tokio::time::Instant;

use super::{
    core::{Core, Now, People, Shown},
    entry::{Entry, Status},
    pace::{KEPT_FOR, TEAM_MAX, collected_for},
};
use crate::{
    id::{Team, UserId},
    session::Session,
};

/// What a tick has to tell one team.
pub(super) struct News {
    pub(super) team: Team,
    /// Entries with all of their rooms, of which a receiver may see only a part.
    pub(super) entries: Vec<(Entry, To)>,
    /// How many people are present, where the team is too large to be told all entries.
    pub(super) users_total: Option<(usize, To)>,
}

/// The receivers of an entry.
#[derive(Clone)]
pub(super) enum To {
    /// All sessions of the team.
    Team,
    /// These sessions, each once.
    Sessions(Vec<Arc<Session>>),
}

impl Core {
    /// Returns what has to be told at `now`.
    pub(super) fn tick(&mut self, now: Now) -> Vec<News> {
        let mut news = Vec::new();
        self.teams.retain(|team, people| {
            news.extend(people.tick(team, now));
            !people.people.is_empty()
        });
        news
    }
}

impl To {
    /// The receivers, where these are all sessions of the team.
    pub(super) fn among<'a>(&'a self, all: &'a [Arc<Session>]) -> &'a [Arc<Session>] {
        match self {
            To::Team => all,
            To::Sessions(sessions) => sessions,
        }
    }
}

impl People {
    /// Notes that the entry of `user` may have changed.
    pub(super) fn change(&mut self, user: &UserId, now: Instant) {
        if !self.changed.contains(user) {
            self.changed.insert(user.clone());
        }
        self.due_by(now + collected_for(self.people.len()));
    }

    fn due_by(&mut self, at: Instant) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn tick(&mut self, team: &Team, now: Now) -> Option<News> {
        self.drop_ended(now.instant);
        self.retry_missed(now.instant);
        self.due.take_if(|due| *due <= now.instant)?;
        let is_large = self.people.len() > TEAM_MAX;
        let mut entries = Vec::new();
        for user in mem::take(&mut self.changed) {
            entries.extend(self.tell(&user, is_large, now.instant));
        }
        let mut renewed = mem::take(&mut self.renewed);
        renewed.retain(|session| !session.has_ended());
        let mut told_total = (!entries.is_empty()).then_some(To::Team);
        if !renewed.is_empty() {
            let renewed = To::Sessions(renewed);
            if !is_large {
                let all = self.people.values();
                let shown = all.map(|person| person.entry(person.shown()));
                entries.extend(shown.map(|entry| (entry, renewed.clone())));
            }
            told_total = told_total.or(Some(renewed));
        }
        let people = || self.people.values();
        let total = || people().filter(|person| !person.tabs.is_empty()).count();
        Some(News {
            team: team.clone(),
            entries,
            users_total: told_total.filter(|_| is_large).map(|to| (total(), to)),
        })
    }

    /// Has the sessions told anew that have missed news some time ago.
    fn retry_missed(&mut self, now: Instant) {
        let due = self.missed.extract_if(.., |(at, _)| *at <= now);
        let before = self.renewed.len();
        self.renewed.extend(due.map(|(_, session)| session));
        if self.renewed.len() > before {
            self.due_by(now);
        }
    }

    /// Removes the contribution of sessions that ended long enough ago.
    fn drop_ended(&mut self, now: Instant) {
        let is_over = |(ended_at, _, _): &mut (Instant, _, _)| now >= *ended_at + KEPT_FOR;
        while let Some((_, user, session)) = self.ended.pop_front_if(is_over) {
            if let Some(person) = self.people.get_mut(&user) {
                person.tabs.retain(|tab| tab.session.id() != session);
            }
            self.change(&user, now);
        }
    }

    /// The entry of a person, if it has to be told. A person who is told to be offline is forgotten.
    fn tell(&mut self, user: &UserId, is_large: bool, now: Instant) -> Option<(Entry, To)> {
        let person = self.people.get_mut(user)?;
        let shown = person.shown();
        if person.told.as_ref() == Some(&shown) {
            return None;
        }
        let is_offline = shown.status == Status::Offline;
        if !is_offline && let Err(at) = person.budget.take(now) {
            self.changed.insert(user.clone());
            self.due_by(at);
            return None;
        }
        let before = person.told.replace(shown.clone());
        let entry = person.entry(shown);
        let to = match is_large {
            true => To::Sessions(self.near(user, &entry, before)),
            false => To::Team,
        };
        if is_offline {
            self.people.remove(user);
        }
        Some((entry, to))
    }

    /// The person's own sessions, and those in small rooms where the person is or was.
    fn near(&self, user: &UserId, entry: &Entry, before: Option<Shown>) -> Vec<Arc<Session>> {
        let own = self.people.get(user).into_iter();
        let open = own
            .flat_map(|person| &person.tabs)
            .filter(|tab| !tab.has_ended);
        let mut sessions: Vec<_> = open.map(|tab| Arc::clone(&tab.session)).collect();
        let left = before.map(|before| before.rooms).unwrap_or_default();
        for room in entry.rooms.iter().chain(&left) {
            let others = self.rooms.get(room).filter(|all| all.len() <= TEAM_MAX);
            sessions.extend(others.into_iter().flatten().cloned());
        }
        sessions.sort_unstable_by_key(|session| session.id());
        sessions.dedup_by_key(|session| session.id());
        sessions
    }
}
