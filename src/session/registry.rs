//! All sessions of this instance, found by their team and user.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::{Caller, Callers, Session, budgets::Budgets};
use crate::{
    auth::Claims,
    config::{Limits, Timing},
    error::{Error, Result},
    id::{SessionId, Team, UserId},
    limits::{Budget, BudgetRates, Role, UserBudgets},
    supervise::Supervisor,
};

/// Every connected session of this instance. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    pub(super) shared: Arc<Shared>,
}

/// The state that the clones share.
pub(super) struct Shared {
    limits: Limits,
    pub(super) timing: Timing,
    pub(super) supervisor: Supervisor,
    draining: AtomicBool,
    last_id: AtomicU64,
    callers: Callers,
    rates: Arc<BudgetRates>,
    users: Arc<UserBudgets>,
    registry: Mutex<Registry>,
}

/// The sessions of one person in one team. Most people have one.
type UserSessions = SmallVec<[Arc<Session>; 1]>;

#[derive(Default)]
struct Registry {
    budgets: Budgets,
    count: usize,
    teams: HashMap<Team, HashMap<UserId, UserSessions>>,
}

impl Sessions {
    /// A registry without sessions.
    pub fn new(limits: Limits, timing: Timing, supervisor: Supervisor) -> Self {
        let rates = Arc::new(BudgetRates::new(&limits, supervisor.metrics().clone()));
        let users = Arc::new(UserBudgets::new(Arc::clone(&rates)));
        Self {
            shared: Arc::new(Shared {
                limits,
                timing,
                supervisor,
                draining: AtomicBool::new(false),
                last_id: AtomicU64::new(0),
                callers: Callers::new(Arc::clone(&rates), Arc::clone(&users)),
                rates,
                users,
                registry: Mutex::default(),
            }),
        }
    }

    /// Begins a session for the user in `claims`, on a connection that had none before.
    ///
    /// # Errors
    /// As [`admit_again`](Self::admit_again).
    pub fn admit(&self, claims: Claims) -> Result<Arc<Session>> {
        self.admit_again(claims, None)
    }

    /// Begins a session for the user in `claims`. A connection that had a session before continues
    /// its `budget`.
    ///
    /// # Errors
    /// [`Error::Draining`] once the server is stopping; [`Error::TooManyConnections`] if the user
    /// or the instance has the maximum number of sessions already.
    pub fn admit_again(
        &self,
        mut claims: Claims,
        budget: Option<Arc<Budget>>,
    ) -> Result<Arc<Session>> {
        self.check_open()?;
        let limits = &self.shared.limits;
        let role = Role::of(claims.rights());
        let of_user_max = match role {
            Role::Person => limits.sockets_per_user,
            Role::Service => limits.service_sockets_max,
        };
        let mut registry = self.shared.registry.lock();
        if let Some((team, _)) = registry.teams.get_key_value(&claims.team) {
            // All sessions keep the same text, so that it is in memory once.
            claims.team = team.clone();
        }
        let (team, user) = (claims.team.clone(), claims.user.id.clone());
        let count = registry.of_user(&team, &user).len();
        let full = match role {
            _ if registry.count >= limits.sockets_max => Some("sockets_max"),
            _ if count < of_user_max => None,
            Role::Person => Some("sockets_per_user"),
            Role::Service => Some("service_sockets_max"),
        };
        if let Some(limit) = full {
            self.shared.supervisor.metrics().limit_applied(limit);
            return Err(Error::TooManyConnections);
        }
        registry.count += 1;
        let key = (team.clone(), user.clone());
        let budget = match budget {
            Some(budget) => {
                registry.budgets.forget(&key, &budget);
                Some(budget)
            }
            None => registry.budgets.take_over(&key, count, of_user_max),
        };
        let budget = budget.unwrap_or_else(|| {
            let of_user = self.shared.users.get(&team, &user);
            Arc::new(Budget::new(&self.shared.rates, of_user, role))
        });
        budget.set_role(role);
        let session = Arc::new(Session::new(self.next_id(), claims, budget));
        let of_team = registry.teams.entry(team).or_default();
        let of_user = of_team.entry(user).or_default();
        of_user.push(Arc::clone(&session));
        Ok(session)
    }

    /// Removes a session whose connection has closed. A second call has no effect.
    pub fn forget(&self, session: &Session) {
        let claims = session.claims();
        let mut registry = self.shared.registry.lock();
        if registry.remove(&claims.team, &claims.user.id, session.id()) {
            let key = (claims.team.clone(), claims.user.id.clone());
            registry.budgets.leave(key, Arc::clone(&session.budget));
        }
    }

    /// The number of sessions.
    pub fn len(&self) -> usize {
        self.shared.registry.lock().count
    }

    /// Whether there are no sessions.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All sessions at this moment that fulfil `condition`, which is called under the registry's lock.
    pub(super) fn all_where(&self, condition: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let registry = self.shared.registry.lock();
        let users = registry.teams.values().flat_map(HashMap::values);
        let fulfils = |session: &&Arc<Session>| condition(session);
        users.flatten().filter(fulfils).cloned().collect()
    }

    /// All sessions of `team` at this moment.
    pub fn of_team(&self, team: &Team) -> Vec<Arc<Session>> {
        let registry = self.shared.registry.lock();
        let of_team = registry.teams.get(team).into_iter();
        let users = of_team.flat_map(HashMap::values);
        users.flatten().cloned().collect()
    }

    /// The sessions of one person in `team` at this moment: one for each tab and device.
    pub fn of_user(&self, team: &Team, user: &UserId) -> Vec<Arc<Session>> {
        self.shared.registry.lock().of_user(team, user).to_vec()
    }

    /// The caller for the user in `claims`, for requests without a session. All requests of the user
    /// share one budget, with the limits of the role that `claims` give.
    pub fn caller(&self, claims: &Claims) -> Arc<Caller> {
        self.shared.callers.get(claims)
    }

    /// A new id, which no session and no other author on this instance has.
    pub fn next_id(&self) -> SessionId {
        SessionId(self.shared.last_id.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Marks the server as stopping: from now on [`check_open`](Self::check_open) fails, by which
    /// doors refuse new sessions, joins and updates.
    pub fn begin_draining(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server is stopping.
    pub fn draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }

    /// Checks that the server is not stopping.
    ///
    /// # Errors
    /// [`Error::Draining`] if it is.
    pub fn check_open(&self) -> Result<()> {
        match self.draining() {
            true => Err(Error::Draining),
            false => Ok(()),
        }
    }
}

impl Registry {
    fn of_user(&self, team: &Team, user: &UserId) -> &[Arc<Session>] {
        let of_team = self.teams.get(team);
        let of_user = of_team.and_then(|users| users.get(user));
        of_user.map_or(&[], SmallVec::as_slice)
    }

    /// Removes a session; `false` if it was not there.
    fn remove(&mut self, team: &Team, user: &UserId, id: SessionId) -> bool {
        let Entry::Occupied(mut of_team) = self.teams.entry(team.clone()) else {
            return false;
        };
        let Entry::Occupied(mut of_user) = of_team.get_mut().entry(user.clone()) else {
            return false;
        };
        let sessions = of_user.get_mut();
        let Some(place) = sessions.iter().position(|session| session.id() == id) else {
            return false;
        };
        sessions.swap_remove(place);
        self.count -= 1;
        if sessions.is_empty() {
            of_user.remove();
        }
        if of_team.get().is_empty() {
            of_team.remove();
        }
        true
    }
}
