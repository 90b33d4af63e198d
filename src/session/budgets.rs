//! The budgets of users whose sessions have ended a moment ago.
//!
//! A session that begins takes over the budget that the last session of its user left behind, with
//! what was used of it. Otherwise a client could renew its budgets by ending its session and
//! beginning another one, on the same connection or on a new one.

use std::{collections::HashMap, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    auth::Claims,
    id::{Team, UserId},
    limits::{Budget, BudgetRates, Role},
};

/// How long a budget is kept after its session. Nearly every budget is full again by then.
const KEPT_FOR: Duration = Duration::from_secs(60);
/// The number of users at which the first sweep removes budgets that are no longer needed.
const SWEEP_USERS_MIN: usize = 256;

/// The budgets that were left behind.
pub(super) struct Budgets {
    rates: Arc<BudgetRates>,
    left: Mutex<Left>,
}

/// A budget that was left behind.
struct Unused {
    budget: Arc<Budget>,
    since: Instant,
}

struct Left {
    /// The budgets of each user, the one that was left last at the end.
    of_users: HashMap<(Team, UserId), Vec<Unused>, RandomState>,
    sweep_at: usize,
}

impl Budgets {
    pub(super) fn new(rates: Arc<BudgetRates>) -> Self {
        Self {
            rates,
            left: Mutex::new(Left {
                of_users: HashMap::default(),
                sweep_at: SWEEP_USERS_MIN,
            }),
        }
    }

    /// The budget for a session of the user in `claims`.
    pub(super) fn take(&self, claims: &Claims) -> Arc<Budget> {
        let role = Role::of(claims.rights());
        let key = (claims.team.clone(), claims.user.id.clone());
        let left = self.left.lock().take(&key);
        match left {
            Some(budget) => {
                budget.set_role(role);
                budget
            }
            None => Arc::new(Budget::new(&self.rates, role)),
        }
    }

    /// Keeps the budget of a session that has ended.
    pub(super) fn leave(&self, claims: &Claims, budget: Arc<Budget>) {
        let key = (claims.team.clone(), claims.user.id.clone());
        let mut left = self.left.lock();
        let since = Instant::now();
        let of_user = left.of_users.entry(key).or_default();
        of_user.push(Unused { budget, since });
        if left.of_users.len() >= left.sweep_at {
            left.sweep();
        }
    }
}

impl Left {
    fn take(&mut self, key: &(Team, UserId)) -> Option<Arc<Budget>> {
        let budgets = self.of_users.get_mut(key)?;
        let last = budgets.pop();
        if budgets.is_empty() {
            self.of_users.remove(key);
        }
        let Unused { budget, since } = last?;
        (since.elapsed() < KEPT_FOR).then_some(budget)
    }

    fn sweep(&mut self) {
        self.of_users.retain(|_, budgets| {
            budgets.retain(|unused| unused.since.elapsed() < KEPT_FOR);
            !budgets.is_empty()
        });
        self.sweep_at = SWEEP_USERS_MIN.max(self.of_users.len() * 2);
    }
}
