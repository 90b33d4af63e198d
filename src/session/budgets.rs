//! The budgets that sessions have left behind.
//!
//! Within a minute a user has at most as many budgets as it may have sessions. A session that
//! begins beyond that takes over the budget that was left first, with what was used of it. Otherwise
//! a client could renew its budgets by ending its session and beginning another one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use crate::{
    id::{Team, UserId},
    limits::Budget,
};

/// How long a budget counts after its session has ended. Nearly every one is full again by then.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// The number of users at which the first sweep removes budgets that no longer count.
const SWEEP_USERS_MIN: usize = 256;

/// The budgets that were left behind, by user.
pub(super) struct Budgets {
    /// Those of each user, from the one that was left first.
    of_users: HashMap<(Team, UserId), Vec<Left>, RandomState>,
    sweep_at: usize,
}

struct Left {
    budget: Arc<Budget>,
    since: Instant,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            of_users: HashMap::default(),
            sweep_at: SWEEP_USERS_MIN,
        }
    }
}

impl Budgets {
    /// The budget that a session of a user has to take over who has `open` sessions and may have
    /// `open_max`; `None` if it gets one of its own.
    pub(super) fn take_over(
        &mut self,
        key: &(Team, UserId),
        open: usize,
        open_max: usize,
    ) -> Option<Arc<Budget>> {
        let left = self.of_users.get_mut(key)?;
        left.retain(|it| it.since.elapsed() < KEPT_FOR);
        (open + left.len() >= open_max && !left.is_empty()).then(|| left.remove(0).budget)
    }

    /// Keeps the budget of a session that has ended.
    pub(super) fn leave(&mut self, key: (Team, UserId), budget: Arc<Budget>) {
        let since = Instant::now();
        let left = self.of_users.entry(key).or_default();
        left.push(Left { budget, since });
        if self.of_users.len() >= self.sweep_at {
            self.sweep();
        }
    }

    /// Removes a budget that is in use again.
    pub(super) fn forget(&mut self, key: &(Team, UserId), budget: &Arc<Budget>) {
        if let Some(left) = self.of_users.get_mut(key) {
            left.retain(|it| !Arc::ptr_eq(&it.budget, budget));
        }
    }

    fn sweep(&mut self) {
        self.of_users.retain(|_, left| {
            left.retain(|it| it.since.elapsed() < KEPT_FOR);
            !left.is_empty()
        });
        self.sweep_at = SWEEP_USERS_MIN.max(self.of_users.len() * 2);
    }
}
