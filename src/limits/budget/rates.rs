//! The rates of all budgets, by role, and the names of the limits.

use tokio::time::Instant;
use tracing::info;

use crate::{
    config::Limits,
    id::{Team, UserId},
    limits::{Role, Sampler, bucket::Rate},
    metrics::Metrics,
};

/// How many bursts of updates may be under way when the client reads its first refusal.
const UNDER_WAY_BURSTS: u32 = 20;

/// A limit that a budget has, named by its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::limits) enum Limit {
    Requests,
    Updates,
    Cpu,
    Memory,
    Received,
    UserReceived,
    Joins,
}

impl Limit {
    /// The name of its setting for `role`, in lower case.
    pub(in crate::limits) fn name(self, role: Role) -> &'static str {
        let (person, service) = match self {
            Limit::Requests => ("requests_per_second", "service_requests_per_second"),
            Limit::Updates => ("updates_per_second", "service_updates_per_second"),
            Limit::Cpu => ("cpu_ms_per_second", "service_cpu_ms_per_second"),
            Limit::Memory => ("memory_bytes_per_second", "service_memory_bytes_per_second"),
            Limit::Received => (
                "received_bytes_per_second",
                "service_received_bytes_per_second",
            ),
            Limit::UserReceived => (
                "user_received_bytes_per_second",
                "service_user_received_bytes_per_second",
            ),
            Limit::Joins => ("joins_per_second", "service_joins_per_second"),
        };
        match role {
            Role::Person => person,
            Role::Service => service,
        }
    }
}

/// The rates of one role.
#[derive(Clone, Copy, Debug)]
pub(in crate::limits) struct Rates {
    pub(in crate::limits) requests: Rate,
    pub(in crate::limits) updates: Rate,
    pub(in crate::limits) cpu_us: Rate,
    pub(in crate::limits) memory_bytes: Rate,
    pub(in crate::limits) received_bytes: Rate,
    pub(in crate::limits) user_received_bytes: Rate,
    pub(in crate::limits) joins: Rate,
    /// Limits the refusals before the client has read the first one.
    pub(in crate::limits) refusals_before_read: Rate,
    /// Limits the refusals afterwards.
    pub(in crate::limits) refusals_after_read: Rate,
}

/// The rates and the clock of all budgets, which share them.
#[derive(Debug)]
pub struct BudgetRates {
    began: Instant,
    person: Rates,
    service: Rates,
    metrics: Metrics,
    /// Lines about refusals, of which there may be many.
    refused: Sampler,
}

impl BudgetRates {
    /// The rates in `limits`. Refusals are counted in `metrics`.
    pub fn new(limits: &Limits, metrics: Metrics) -> Self {
        Self {
            began: Instant::now(),
            person: Rates::of_persons(limits),
            service: Rates::of_services(limits),
            metrics,
            refused: Sampler::new(),
        }
    }

    /// The present time of all budgets: nanoseconds since these rates were made.
    pub(in crate::limits) fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(in crate::limits) fn of(&self, role: Role) -> &Rates {
        match role {
            Role::Person => &self.person,
            Role::Service => &self.service,
        }
    }

    /// Counts and logs a refusal of a user, whom a `limit` tells to come back later.
    pub(in crate::limits) fn count(
        &self,
        team: &Team,
        user: &UserId,
        limit: &'static str,
        retry_after_ms: u64,
    ) {
        self.metrics.limit_applied(limit);
        if let Some(suppressed) = self.refused.admit() {
            info!(
                team = team.as_str(),
                user = user.as_str(),
                limit,
                retry_after_ms,
                suppressed,
                "a request was refused"
            );
        }
    }
}

impl Rates {
    fn of_persons(limits: &Limits) -> Self {
        let (refusals_before_read, refusals_after_read) =
            refusals(limits.requests_per_second, limits.updates_burst);
        Self {
            requests: requests(limits.requests_per_second),
            updates: counts(limits.updates_per_second, limits.updates_burst),
            cpu_us: cpu(limits.cpu_ms_per_second, limits.cpu_burst_ms),
            memory_bytes: bytes(limits.memory_bytes_per_second, limits.memory_burst_bytes),
            received_bytes: bytes(
                limits.received_bytes_per_second,
                limits.received_burst_bytes,
            ),
            user_received_bytes: bytes(
                limits.user_received_bytes_per_second,
                limits.user_received_burst_bytes,
            ),
            joins: counts(limits.joins_per_second, limits.joins_burst),
            refusals_before_read,
            refusals_after_read,
        }
    }

    fn of_services(limits: &Limits) -> Self {
        let (refusals_before_read, refusals_after_read) = refusals(
            limits.service_requests_per_second,
            limits.service_updates_burst,
        );
        Self {
            requests: requests(limits.service_requests_per_second),
            updates: counts(
                limits.service_updates_per_second,
                limits.service_updates_burst,
            ),
            cpu_us: cpu(
                limits.service_cpu_ms_per_second,
                limits.service_cpu_burst_ms,
            ),
            memory_bytes: bytes(
                limits.service_memory_bytes_per_second,
                limits.service_memory_burst_bytes,
            ),
            received_bytes: bytes(
                limits.service_received_bytes_per_second,
                limits.service_received_burst_bytes,
            ),
            user_received_bytes: bytes(
                limits.service_user_received_bytes_per_second,
                limits.service_user_received_burst_bytes,
            ),
            joins: counts(limits.service_joins_per_second, limits.service_joins_burst),
            refusals_before_read,
            refusals_after_read,
        }
    }
}

fn requests(per_second: u32) -> Rate {
    counts(per_second, per_second.saturating_mul(2))
}

fn counts(per_second: u32, burst: u32) -> Rate {
    Rate::new(per_second.into(), burst.into())
}

fn bytes(per_second: usize, burst: usize) -> Rate {
    Rate::new(per_second as u64, burst as u64)
}

fn cpu(ms_per_second: u64, burst_ms: u64) -> Rate {
    Rate::new(
        ms_per_second.saturating_mul(1000),
        burst_ms.saturating_mul(1000),
    )
}

/// The rates of refusals before and after the client has read the first one.
fn refusals(requests_per_second: u32, updates_burst: u32) -> (Rate, Rate) {
    let tolerated = requests_per_second.saturating_mul(10).max(updates_burst);
    let under_way = tolerated.saturating_mul(UNDER_WAY_BURSTS);
    let rate = |burst: u32| counts(requests_per_second, burst);
    (rate(under_way), rate(tolerated))
}
