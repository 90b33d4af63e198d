//! How a room shows who is where: stamped, gathered, told, swept.

use document::awareness::{self, Author, Entry, Identity};
use tokio::time::Instant;

use super::{
    Message, Seat,
    members::Moved,
    task::{NOT_JOINED, Room},
};
use crate::{error::Result, id::SessionId};

/// Whose cursors wait to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mover {
    Nobody,
    Only(SessionId),
    Several,
}

impl Room {
    pub(super) fn move_cursors(&mut self, seat: &dyn Seat, entries: Vec<Entry>) -> Result<()> {
        let who = seat.participant();
        self.members
            .find(who.session)
            .ok_or(NOT_JOINED)?
            .last_seen_at = self.heard_at;
        let author = Author {
            session: who.session,
            user: Identity {
                id: who.user.id.as_str(),
                name: &who.user.name,
                avatar_url: who.user.avatar_url.as_deref(),
                color: who.color,
            },
        };
        let ids_max = self.shared.limits.client_ids_per_session;
        let age_ms = self.age_ms(Instant::now());
        for entry in self.awareness.apply(&author, entries, age_ms, ids_max) {
            match self
                .moved
                .iter_mut()
                .find(|moved| moved.client == entry.client)
            {
                Some(moved) => *moved = entry,
                None => self.moved.push(entry),
            }
            self.mover = match self.mover {
                Mover::Nobody => Mover::Only(who.session),
                Mover::Only(session) if session == who.session => self.mover,
                _ => Mover::Several,
            };
        }
        Ok(())
    }

    /// When somebody is to be told where somebody is.
    pub(super) fn cursors_due(&self, now: Instant) -> Option<Instant> {
        if !self.moved.is_empty() {
            Some(self.cursors.due(now))
        } else if self.members.any_unseen() {
            Some(self.cursors.next_tick(now))
        } else {
            None
        }
    }

    pub(super) fn tell_moved(&mut self, now: Instant) {
        let moved = std::mem::take(&mut self.moved);
        let except = match std::mem::replace(&mut self.mover, Mover::Nobody) {
            Mover::Only(session) => Some(session),
            Mover::Nobody | Mover::Several => None,
        };
        let moved = Moved {
            news: (!moved.is_empty()).then(|| awareness::encode(&moved).into()),
            generation: self.awareness.end_generation(),
            urgent: moved.iter().any(|entry| entry.state.is_none()),
            except,
        };
        let since = |from| self.awareness.encode_since(from).into();
        let told = self.members.show(moved, since, now);
        self.cursors.went(told.receivers.max(1), now);
        self.shared
            .metrics
            .awareness_relayed(told.receivers, told.bytes);
    }

    pub(super) fn tell_gone(&mut self, gone: &[Entry]) {
        if gone.is_empty() {
            return;
        }
        self.moved
            .retain(|moved| gone.iter().all(|entry| entry.client != moved.client));
        let bytes = awareness::encode(gone).into();
        let told = self
            .members
            .tell(Message::Awareness(bytes), None, Instant::now());
        self.shared
            .metrics
            .awareness_relayed(told.receivers, told.bytes);
    }
}
