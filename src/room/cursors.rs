//! How a room shows who is where: stamped, gathered, shown, swept.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Message,
    core::{NOT_JOINED, RoomCore},
    interface::Output,
    members::{Asker, Mover},
    seats::Moved,
    seats::Shown,
};
use crate::error::Result;
use document::awareness::{self, Author, Entry, Generation, Identity};

impl<P: Asker> RoomCore<P> {
    pub(super) fn move_cursors(&mut self, peer: &P, entries: Vec<Entry>) -> Result<()> {
        let who = peer.participant();
        let member = self.members.find(who.session).ok_or(NOT_JOINED)?;
        member.last_seen_at = self.now.time;
        let author = Author {
            session: who.session,
            user: Identity {
                id: who.user.id.as_str(),
                name: &who.user.name,
                avatar_url: who.user.avatar_url.as_deref(),
                color: who.color,
            },
        };
        let ids_max = self.limits.client_ids_per_session;
        let age_ms = self.age_ms();
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

    /// When somebody is to be shown where somebody is.
    pub(super) fn cursors_due(&self) -> Option<Instant> {
        let now = self.now.instant;
        if !self.moved.is_empty() {
            Some(self.cursors.due(now))
        } else if self.shown == Shown::NotToAll {
            Some(self.cursors.next_tick(now))
        } else {
            None
        }
    }

    pub(super) fn show_moved(&mut self) {
        let moved = std::mem::take(&mut self.moved);
        let except = match std::mem::replace(&mut self.mover, Mover::Nobody) {
            Mover::Only(session) => Some(session),
            Mover::Nobody | Mover::Several => None,
        };
        let receivers = self.members.listening(except);
        self.cursors.went(receivers.max(1), self.now.instant);
        self.outputs.push(Output::Show(Moved {
            news: (!moved.is_empty()).then(|| awareness::encode(&moved).into()),
            generation: self.awareness.end_generation(),
            urgent: moved.iter().any(|entry| entry.state.is_none()),
            except,
        }));
    }

    /// What moved from `generation` on, for those who were not shown it then.
    pub(super) fn cursors_since(&self, generation: Generation) -> Bytes {
        self.awareness.encode_since(generation).into()
    }

    pub(super) fn show_gone(&mut self, gone: &[Entry]) {
        if gone.is_empty() {
            return;
        }
        self.moved
            .retain(|moved| gone.iter().all(|entry| entry.client != moved.client));
        let bytes = awareness::encode(gone).into();
        self.outputs.push(Output::Tell {
            message: Message::Awareness(bytes),
            except: None,
            updates: 0,
        });
    }
}
