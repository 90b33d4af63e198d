//! The states that were removed lately.
//!
//! The clients of some protocols send on every state that they receive. Such an echo of a state that was
//! removed meanwhile would show it again, as a state of the sender, and would keep its owner out. So for
//! a while only newer states of a removed id are taken from other users.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ClientId;

/// For how long a removed state is remembered, in milliseconds.
const KEPT_MS: i64 = 30_000;
/// The most removed states that are remembered.
const KEPT_MAX: usize = 1024;

/// The states that were removed lately, in the order of their removal.
#[derive(Debug, Default)]
pub(super) struct Gone {
    removed: VecDeque<Removed>,
    /// The newest time that was passed.
    now_ms: i64,
}

#[derive(Debug)]
struct Removed {
    client: ClientId,
    clock: u32,
    user: Arc<str>,
    at_ms: i64,
}

impl Gone {
    /// Forgets the states for which it is time at `now_ms`.
    pub(super) fn pass(&mut self, now_ms: i64) {
        let now_ms = self.now_ms.max(now_ms);
        self.now_ms = now_ms;
        let is_old = |it: &mut Removed| now_ms.saturating_sub(it.at_ms) >= KEPT_MS;
        while self.removed.pop_front_if(is_old).is_some() {}
    }

    /// Remembers that the state of `client`, of `user`, was removed as of `clock`.
    pub(super) fn add(&mut self, client: ClientId, clock: u32, user: Arc<str>) {
        if self.removed.len() == KEPT_MAX {
            self.removed.pop_front();
        }
        self.removed.push_back(Removed {
            client,
            clock,
            user,
            at_ms: self.now_ms,
        });
    }

    /// Whether a state that `user` sends, of an id that has none, is one of another user that was removed.
    pub(super) fn is_echo(&self, user: &str, client: ClientId, clock: u32) -> bool {
        let mut removed = self.removed.iter();
        removed.any(|it| it.client == client && clock <= it.clock && &*it.user != user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_echo_of_another_user_is_known_for_a_while() {
        let mut gone = Gone::default();
        gone.pass(5);
        gone.add(7, 3, "ana".into());
        assert!(gone.is_echo("ben", 7, 3) && gone.is_echo("ben", 7, 2));
        assert!(!gone.is_echo("ben", 7, 4) && !gone.is_echo("ben", 8, 3));
        assert!(!gone.is_echo("ana", 7, 3), "Ana returns");
        gone.pass(KEPT_MS + 4);
        assert!(gone.is_echo("ben", 7, 3));
        gone.pass(KEPT_MS + 5);
        assert!(!gone.is_echo("ben", 7, 3));
    }

    #[test]
    fn few_removed_states_are_remembered() {
        let mut gone = Gone::default();
        for client in 0..=KEPT_MAX as u64 {
            gone.add(client, 0, "ana".into());
        }
        assert!(!gone.is_echo("ben", 0, 0) && gone.is_echo("ben", 1, 0));
        assert_eq!(gone.removed.len(), KEPT_MAX);
    }
}
