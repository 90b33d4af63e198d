//! How a room shows who is where: stamped, gathered, shown, swept.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Message,
    core::{NOT_JOINED, RoomCore},
    interface::Output,
    members::{ChangedBy, PeerHandle},
    seats::AwarenessChange,
    seats::AwarenessShown,
};
use crate::error::Result;
use document::awareness::{self, Author, Entry, Generation, Identity};

impl<P: PeerHandle> RoomCore<P> {
    pub(super) fn change_awareness(&mut self, peer: &P, entries: Vec<Entry>) -> Result<()> {
        let who = peer.identity();
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
                .changed_states
                .iter_mut()
                .find(|moved| moved.client == entry.client)
            {
                Some(moved) => *moved = entry,
                None => self.changed_states.push(entry),
            }
            self.changed_by = match self.changed_by {
                ChangedBy::Nobody => ChangedBy::Only(who.session),
                ChangedBy::Only(session) if session == who.session => self.changed_by,
                _ => ChangedBy::Several,
            };
        }
        Ok(())
    }

    /// When somebody is to be shown where somebody is.
    pub(super) fn awareness_due(&self) -> Option<Instant> {
        let now = self.now.instant;
        if !self.changed_states.is_empty() {
            Some(self.awareness_pace.due(now))
        } else if self.awareness_shown == AwarenessShown::NotToAll {
            Some(self.awareness_pace.next_tick(now))
        } else {
            None
        }
    }

    pub(super) fn relay_awareness(&mut self) {
        let moved = std::mem::take(&mut self.changed_states);
        let except = match std::mem::replace(&mut self.changed_by, ChangedBy::Nobody) {
            ChangedBy::Only(session) => Some(session),
            ChangedBy::Nobody | ChangedBy::Several => None,
        };
        let receivers = self.members.receivers(except);
        self.awareness_pace.sent(receivers.max(1), self.now.instant);
        self.outputs.push(Output::RelayAwareness(AwarenessChange {
            news: (!moved.is_empty()).then(|| awareness::encode(&moved).into()),
            generation: self.awareness.end_generation(),
            urgent: moved.iter().any(|entry| entry.state.is_none()),
            except,
        }));
    }

    /// What moved from `generation` on, for those who were not shown it then.
    pub(super) fn awareness_since(&self, generation: Generation) -> Bytes {
        self.awareness.encode_since(generation).into()
    }

    pub(super) fn relay_removed(&mut self, gone: &[Entry]) {
        if gone.is_empty() {
            return;
        }
        self.changed_states
            .retain(|moved| gone.iter().all(|entry| entry.client != moved.client));
        let bytes = awareness::encode(gone).into();
        self.outputs.push(Output::Tell {
            message: Message::Awareness(bytes),
            except: None,
            updates: 0,
        });
    }
}
