//! The people who ask over HTTP: one budget for each, since a request has no session.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{
    auth::Claims,
    config::Limits,
    error::{Error, Result},
    id::{Team, UserId},
    limits::{Budget, Role},
};

/// How long a caller's budget is kept after the last request: longer than a debt lasts.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// From so many callers on, those that need not be kept are looked for.
const SWEPT_FROM: usize = 256;
/// How many bodies of one person, and of one service, are read at once.
const BODIES_OF_PERSON: usize = 2;
const BODIES_OF_SERVICE: usize = 8;
/// When to come back once one of them is read; it is an estimate.
const BODY_READ_MS: u64 = 1000;

/// Everybody who asked lately.
pub struct Callers {
    limits: Limits,
    recent: Mutex<Recent>,
}

struct Recent {
    callers: HashMap<(Team, UserId), Entry>,
    sweep_at: usize,
}

struct Entry {
    caller: Arc<Caller>,
    last: Instant,
}

/// Somebody who asks without a session.
pub struct Caller {
    /// What all requests and updates of this person may take.
    pub budget: Budget,
    bodies: Arc<Semaphore>,
}

impl Callers {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            recent: Mutex::new(Recent {
                callers: HashMap::new(),
                sweep_at: SWEPT_FROM,
            }),
        }
    }

    /// The caller whom `claims` name, with the limits of the role that they have now.
    pub(super) fn get(&self, claims: &Claims) -> Arc<Caller> {
        let (now, role) = (Instant::now(), Role::of(claims.rights()));
        let mut recent = self.recent.lock();
        if recent.callers.len() >= recent.sweep_at {
            recent.sweep(now);
        }
        let key = (claims.team.clone(), claims.user.id.clone());
        let entry = recent.callers.entry(key).or_insert_with(|| Entry {
            caller: Arc::new(Caller::new(&self.limits, role)),
            last: now,
        });
        entry.last = now;
        entry.caller.budget.set_role(role);
        Arc::clone(&entry.caller)
    }
}

impl Recent {
    fn sweep(&mut self, now: Instant) {
        self.callers.retain(|_, entry| {
            now.duration_since(entry.last) < KEPT_FOR || Arc::strong_count(&entry.caller) > 1
        });
        self.sweep_at = SWEPT_FROM.max(self.callers.len() * 2);
    }
}

impl Caller {
    fn new(limits: &Limits, role: Role) -> Self {
        let bodies = match role {
            Role::Person => BODIES_OF_PERSON,
            Role::Service => BODIES_OF_SERVICE,
        };
        Self {
            budget: Budget::new(limits, role),
            bodies: Arc::new(Semaphore::new(bodies)),
        }
    }

    /// Lets a body be read, until the permit is dropped.
    ///
    /// # Errors
    /// [`Error::RateLimited`] while as many are read as may be.
    pub fn begin_body(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.bodies).try_acquire_owned();
        permit.map_err(|_| Error::RateLimited {
            retry_after_ms: BODY_READ_MS,
        })
    }
}
