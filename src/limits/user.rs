//! The budgets that all sessions and HTTP requests of one user share.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::{bucket::Bucket, budget::BudgetRates, slots::Slots};
use crate::id::{Team, UserId};

/// The number of users at which the first sweep removes budgets that are not needed.
const SWEEP_USERS_MIN: usize = 1024;

/// The budgets of one user on this instance. Sessions of both roles use the same ones, each at the
/// rates of its role.
#[derive(Debug)]
pub struct UserBudget {
    pub(super) team: Team,
    pub(super) id: UserId,
    /// Bytes that arrive.
    pub(super) received_bytes: Bucket,
    /// Joins and synchronisations, by the size of their answers.
    pub(super) joins: Bucket,
    pub(super) slots: Slots,
}

/// The budgets of all users that have a session or have used some of their budget lately.
pub struct UserBudgets {
    rates: Arc<BudgetRates>,
    users: Mutex<Users>,
}

struct Users {
    budgets: HashMap<(Team, UserId), Arc<UserBudget>, RandomState>,
    sweep_at: usize,
}

impl UserBudgets {
    /// No budgets yet; those that are made have these rates.
    pub fn new(rates: Arc<BudgetRates>) -> Self {
        Self {
            rates,
            users: Mutex::new(Users {
                budgets: HashMap::default(),
                sweep_at: SWEEP_USERS_MIN,
            }),
        }
    }

    /// The budget of a user: the same one for all its sessions and requests.
    pub fn get(&self, team: &Team, user: &UserId) -> Arc<UserBudget> {
        let mut users = self.users.lock();
        if users.budgets.len() >= users.sweep_at {
            users.sweep(self.rates.now());
        }
        let budget = users
            .budgets
            .entry((team.clone(), user.clone()))
            .or_insert_with(|| Arc::new(UserBudget::new(team.clone(), user.clone())));
        Arc::clone(budget)
    }
}

impl Users {
    /// Removes the budgets that nobody holds and that are as new ones.
    fn sweep(&mut self, now: u64) {
        self.budgets
            .retain(|_, budget| Arc::strong_count(budget) > 1 || !budget.is_full(now));
        self.sweep_at = SWEEP_USERS_MIN.max(self.budgets.len() * 2);
    }
}

impl UserBudget {
    fn new(team: Team, id: UserId) -> Self {
        Self {
            team,
            id,
            received_bytes: Bucket::default(),
            joins: Bucket::default(),
            slots: Slots::default(),
        }
    }

    fn is_full(&self, now: u64) -> bool {
        self.received_bytes.is_full(now) && self.joins.is_full(now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        config::Limits,
        limits::{Budget, Role},
        metrics::Metrics,
    };

    #[tokio::test(start_paused = true)]
    async fn a_users_budget_is_kept_until_it_is_full_again() {
        let rates = Arc::new(BudgetRates::new(&Limits::default(), Metrics::new()));
        let users = UserBudgets::new(Arc::clone(&rates));
        let team = Team::parse("acme").expect("a team");
        let user = |number: usize| {
            let id = UserId::parse(&format!("user {number}")).expect("an id");
            users.get(&team, &id)
        };
        let used = user(0);
        let budget = Budget::new(&rates, Arc::clone(&used), Role::Person);
        budget.charge_received(600 << 20);
        drop(budget);
        let address = Arc::as_ptr(&used);
        drop(used);
        for number in 1..3 * SWEEP_USERS_MIN {
            drop(user(number));
        }
        let count = || users.users.lock().budgets.len();
        assert!(count() <= SWEEP_USERS_MIN + 1, "{}", count());
        assert_eq!(Arc::as_ptr(&user(0)), address);
        tokio::time::advance(Duration::from_secs(60)).await;
        users.users.lock().sweep(rates.now());
        assert_eq!(count(), 0);
    }
}
