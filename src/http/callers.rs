//! Who asks over HTTP, and how much: one budget a person, since a request has no session.

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

/// How long somebody is remembered: longer than debts last.
const REMEMBERED: Duration = Duration::from_secs(600);
/// From so many on, the forgotten are looked for.
const SWEPT_FROM: usize = 256;
/// How many bodies of one person, and of one service, are read at once.
const BODIES_OF_PERSON: usize = 2;
const BODIES_OF_SERVICE: usize = 8;
/// When to come back once one of them is read; it is an estimate.
const BODY_READ_MS: u64 = 1000;

/// Everybody who asked lately.
pub(super) struct Callers {
    limits: Limits,
    known: Mutex<Known>,
}

struct Known {
    callers: HashMap<(Team, UserId), Entry>,
    sweep_at: usize,
}

struct Entry {
    caller: Arc<Caller>,
    last: Instant,
}

/// Somebody who asks.
pub(super) struct Caller {
    pub(super) budget: Budget,
    bodies: Arc<Semaphore>,
}

impl Callers {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            known: Mutex::new(Known {
                callers: HashMap::new(),
                sweep_at: SWEPT_FROM,
            }),
        }
    }

    /// The one whom `claims` name, with the limits of the role that they have now.
    pub(super) fn get(&self, claims: &Claims) -> Arc<Caller> {
        let (now, role) = (Instant::now(), Role::of(claims.rights()));
        let mut known = self.known.lock();
        if known.callers.len() >= known.sweep_at {
            known.sweep(now);
        }
        let key = (claims.team.clone(), claims.user.id.clone());
        let entry = known.callers.entry(key).or_insert_with(|| Entry {
            caller: Arc::new(Caller::new(&self.limits, role)),
            last: now,
        });
        entry.last = now;
        entry.caller.budget.set_role(role);
        Arc::clone(&entry.caller)
    }
}

impl Known {
    fn sweep(&mut self, now: Instant) {
        self.callers.retain(|_, entry| {
            now.duration_since(entry.last) < REMEMBERED || Arc::strong_count(&entry.caller) > 1
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
    pub(super) fn begin_body(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.bodies).try_acquire_owned();
        permit.map_err(|_| Error::RateLimited {
            retry_after_ms: BODY_READ_MS,
        })
    }
}
