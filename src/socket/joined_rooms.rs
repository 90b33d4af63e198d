//! The rooms that one client has joined.
//!
//! They are a list in the order of their names and not a hash table: most clients are in one room, and
//! a hash table has at least four slots.

use std::sync::Arc;

use crate::{
    auth::Rights,
    id::RoomName,
    room::{Peer, RoomHandle},
};

/// A room that a client has joined or is joining.
#[derive(Clone)]
pub(super) struct JoinedRoom {
    pub(super) handle: RoomHandle,
    pub(super) seat: Arc<dyn Peer>,
    pub(super) rights: Rights,
}

/// The rooms whose joins were sent to the room and not refused, by name.
#[derive(Default)]
pub(super) struct JoinedRooms(Vec<(RoomName, JoinedRoom)>);

impl JoinedRooms {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn find(&self, name: &str) -> Option<&JoinedRoom> {
        let place = self.place(name).ok()?;
        Some(&self.0[place].1)
    }

    /// Adds a room, or replaces the one of the same name.
    pub(super) fn insert(&mut self, name: RoomName, joined: JoinedRoom) {
        match self.place(name.as_str()) {
            Ok(place) => self.0[place].1 = joined,
            Err(place) => {
                if self.0.is_empty() {
                    // By itself, a list begins with four slots.
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (name, joined));
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<(RoomName, JoinedRoom)> {
        let place = self.place(name).ok()?;
        Some(self.0.remove(place))
    }

    /// Removes the rooms for which `stays` returns `false`.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&RoomName, &mut JoinedRoom) -> bool) {
        self.0.retain_mut(|(name, joined)| stays(name, joined));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RoomName, &JoinedRoom)> {
        self.0.iter().map(|(name, joined)| (name, joined))
    }

    /// The place of a room, or else the place at which it belongs.
    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0
            .binary_search_by(|(other, _)| other.as_str().cmp(name))
    }
}
