//! The users of the HTTP door, with one budget for each user, since a request has no session.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{
    auth::Claims,
    error::Result,
    id::{Team, UserId},
    limits::{Budget, BudgetRates, Role, UserBudget, UserBudgets},
};

/// How long a caller is kept after its last request. It is longer than a budget can be in debt.
const RETENTION: Duration = Duration::from_secs(600);
/// The number of callers at which the first sweep removes those that are no longer needed.
const SWEEP_CALLERS_MIN: usize = 256;
/// How many request bodies of one person, and of one service, are read at once.
const PERSON_BODIES_MAX: usize = 2;
const SERVICE_BODIES_MAX: usize = 8;
/// The wait that a refusal suggests: an estimate of the time in which one body is read.
const BODY_RETRY_MS: u64 = 1000;

/// The callers with recent requests.
pub struct Callers {
    rates: Arc<BudgetRates>,
    users: Arc<UserBudgets>,
    recent: Mutex<Recent>,
}

struct Recent {
    callers: HashMap<(Team, UserId), Entry>,
    sweep_at: usize,
}

struct Entry {
    caller: Arc<Caller>,
    last_request: Instant,
}

/// A user that sends requests without a session.
pub struct Caller {
    /// Limits all requests and updates of this user together.
    pub budget: Budget,
    bodies: Arc<Semaphore>,
}

impl Callers {
    pub(super) fn new(rates: Arc<BudgetRates>, users: Arc<UserBudgets>) -> Self {
        Self {
            rates,
            users,
            recent: Mutex::new(Recent {
                callers: HashMap::new(),
                sweep_at: SWEEP_CALLERS_MIN,
            }),
        }
    }

    /// The caller for the user in `claims`, with the limits of the role that `claims` give.
    pub(super) fn get(&self, claims: &Claims) -> Arc<Caller> {
        let (now, role) = (Instant::now(), Role::of(claims.rights()));
        let mut recent = self.recent.lock();
        if recent.callers.len() >= recent.sweep_at {
            recent.sweep(now);
        }
        let key = (claims.team.clone(), claims.user.id.clone());
        let entry = recent.callers.entry(key).or_insert_with(|| Entry {
            caller: Arc::new(Caller::new(
                &self.rates,
                self.users.get(&claims.team, &claims.user.id),
                role,
            )),
            last_request: now,
        });
        entry.last_request = now;
        entry.caller.budget.set_role(role);
        Arc::clone(&entry.caller)
    }
}

impl Recent {
    fn sweep(&mut self, now: Instant) {
        self.callers.retain(|_, entry| {
            now.duration_since(entry.last_request) < RETENTION
                || Arc::strong_count(&entry.caller) > 1
        });
        self.sweep_at = SWEEP_CALLERS_MIN.max(self.callers.len() * 2);
    }
}

impl Caller {
    fn new(rates: &Arc<BudgetRates>, user: Arc<UserBudget>, role: Role) -> Self {
        let bodies = match role {
            Role::Person => PERSON_BODIES_MAX,
            Role::Service => SERVICE_BODIES_MAX,
        };
        Self {
            budget: Budget::new(rates, user, role),
            bodies: Arc::new(Semaphore::new(bodies)),
        }
    }

    /// Permits the caller to send a request body. The body counts until the permit is dropped.
    ///
    /// # Errors
    /// [`Error::RateLimited`](crate::error::Error::RateLimited) while the maximum number of bodies is being read.
    pub fn begin_body(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.bodies).try_acquire_owned();
        permit.map_err(|_| self.budget.refuse("http_bodies_of_user", BODY_RETRY_MS))
    }
}
