//! How a room handles awareness states, such as cursors: it stamps them with the name and
//! the colour of their user, relays them at a limited rate and removes them.

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Message,
    core::{NOT_JOINED, RoomCore},
    interface::Output,
    members::{ChangedBy, PeerHandle},
    seats::{AwarenessChange, AwarenessShown},
};
use crate::error::Result;
use document::awareness::{self, Author, Entry, Generation, Identity};

impl<P: PeerHandle> RoomCore<P> {
    /// Applies the states that a member sent.
    pub(super) fn change_awareness(&mut self, peer: &P, entries: Vec<Entry>) -> Result<()> {
        let who = peer.identity();
        let member = self.members.find(who.session).ok_or(NOT_JOINED)?;
        member.last_seen_at = self.now.time;
        let age_ms = self.age_ms();
        let author = Author {
            session: who.session,
            user: Identity {
                id: who.user.id.as_str(),
                name: &who.user.name,
                avatar_url: who.user.avatar_url.as_deref(),
            },
        };
        let colors = &mut self.colors;
        let mut coloring = |chosen: Option<&str>| colors.show(&who.user.id, who.session, chosen);
        let ids_max = self.limits.client_ids_per_session;
        let awareness = &mut self.awareness;
        let applied = awareness.apply(&author, entries, age_ms, ids_max, &mut coloring);
        for entry in applied {
            match self
                .changed_states
                .iter_mut()
                .find(|changed| changed.client == entry.client)
            {
                Some(changed) => *changed = entry,
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

    /// Tells the other members what `peer` says, behind the updates that were accepted before.
    pub(super) fn tell_others(&mut self, peer: &P, payload: Bytes) -> Result<()> {
        let session = peer.identity().session;
        let member = self.members.find(session).ok_or(NOT_JOINED)?;
        member.last_seen_at = self.now.time;
        if self.commits.accepted() > 0 {
            self.flush();
        }
        self.outputs.push(Output::Tell {
            message: Message::Stateless(payload),
            except: Some(session),
            updates: 0,
        });
        Ok(())
    }

    /// When awareness states are due to be relayed; `None` if every seat has the newest.
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

    /// Relays the states that have changed.
    pub(super) fn relay_awareness(&mut self) {
        let changed = std::mem::take(&mut self.changed_states);
        let except = match std::mem::replace(&mut self.changed_by, ChangedBy::Nobody) {
            ChangedBy::Only(session) => Some(session),
            ChangedBy::Nobody | ChangedBy::Several => None,
        };
        let receivers = self.members.receivers(except);
        self.awareness_pace.sent(receivers.max(1), self.now.instant);
        self.outputs.push(Output::RelayAwareness(AwarenessChange {
            states: (!changed.is_empty()).then(|| awareness::encode(&changed).into()),
            generation: self.awareness.end_generation(),
            urgent: changed.iter().any(|entry| entry.state.is_none()),
            except,
        }));
    }

    /// The states that have changed since `generation`, for seats that were passed over.
    pub(super) fn awareness_since(&self, generation: Generation) -> Bytes {
        self.awareness.encode_since(generation).into()
    }

    /// Relays at once that these states were removed.
    pub(super) fn relay_removed(&mut self, removed: &[Entry]) {
        if removed.is_empty() {
            return;
        }
        self.changed_states
            .retain(|changed| removed.iter().all(|entry| entry.client != changed.client));
        let bytes = awareness::encode(removed).into();
        self.outputs.push(Output::Tell {
            message: Message::Awareness(bytes),
            except: None,
            updates: 0,
        });
    }
}
