//! The rates and costs allowed to one session: one token bucket for each limited
//! quantity, with the rates of the session's role.
//!
//! A refusal reserves a [slot](super::slots), and says when it begins: the client that sends the
//! request again at that time is accepted. The cost of an update to its room is charged once it is
//! known, which is after the update was accepted. So the session may go into debt, and its further
//! updates are refused until the debt is paid; their slots are as far apart as its updates cost
//! lately.
//!
//! A client that ignores refusals is distinguished from one that has not read them yet.
//! The first refusal is sent with a ping, and requests that arrive before its answer were
//! already under way: a client that reconnects after hours offline sends all its edits at
//! once. Refusals after the answer are limited more strictly.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    bucket::{Bucket, Rate},
    slots::Slots,
};
use crate::{
    auth::{Right, Rights},
    config::Limits,
    error::{Error, Result},
};

/// The CPU time of each update that is not charged, in microseconds.
const FREE_CPU_US: u64 = 50;
/// So many bytes of memory are added up before they are charged, since typing adds a few
/// bytes at a time, and reading the clock takes longer than the rest of a charge.
const CHARGED_BYTES_MIN: usize = 64 * 1024;
/// After so long without a refusal, the next one counts as a first one.
const REFUSALS_FORGOTTEN_AFTER: Duration = Duration::from_secs(10);
/// How many bursts of updates may be under way when the client reads its first refusal.
const UNDER_WAY_BURSTS: u32 = 20;

/// The role that decides the limits of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A person: a client without the right `publish`.
    Person,
    /// A server of the platform, which acts for many people.
    Service,
}

impl Role {
    /// The role of a client with `rights` outside of any document.
    pub fn of(rights: Rights) -> Self {
        match rights.allows(Right::Publish) {
            true => Role::Service,
            false => Role::Person,
        }
    }
}

/// The kind of a refusal for rate, which decides how the session is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The first one. Answer it with a ping, and call [`Budget::refusal_read`] once the
    /// client has answered the ping.
    First,
    /// The client may not have read the first one yet, or the refusals are few. Answer it.
    Tolerable,
    /// The client ignores refusals. Cut the session.
    Abusive,
}

/// The rates of one role.
#[derive(Clone, Copy, Debug)]
struct Rates {
    requests: Rate,
    updates: Rate,
    cpu_us: Rate,
    memory_bytes: Rate,
    /// Limits the refusals before the client has read the first one.
    refusals_before_read: Rate,
    /// Limits the refusals afterwards.
    refusals_after_read: Rate,
}

/// The rates of all budgets, which share them.
#[derive(Debug)]
pub struct BudgetRates {
    person: Rates,
    service: Rates,
}

/// The budgets of one session. No method blocks or waits.
#[derive(Debug)]
pub struct Budget {
    began: Instant,
    is_service: AtomicBool,
    rates: Arc<BudgetRates>,
    requests: Bucket,
    updates: Bucket,
    cpu_us: Bucket,
    memory_bytes: Bucket,
    request_slots: Slots,
    update_slots: Slots,
    /// The mean cost of the last updates: for how long it would keep an empty bucket in debt, in
    /// nanoseconds.
    usual_cost_ns: AtomicU64,
    /// Bytes of memory that are not charged yet.
    uncharged_bytes: AtomicUsize,
    refusals: Mutex<Refusals>,
}

/// The refusals of a session.
#[derive(Debug, Default)]
struct Refusals {
    /// The time of the last one, in nanoseconds since the budget began.
    last: Option<u64>,
    /// The client has read the first one.
    first_read: bool,
    /// Limits the refusals before the client has read the first one.
    before_read: Bucket,
    /// Limits the refusals afterwards.
    after_read: Bucket,
}

impl BudgetRates {
    /// The rates in `limits`.
    pub fn new(limits: &Limits) -> Self {
        Self {
            person: Rates::of_persons(limits),
            service: Rates::of_services(limits),
        }
    }
}

impl Budget {
    /// Full budgets with these rates.
    pub fn new(rates: &Arc<BudgetRates>, role: Role) -> Self {
        Self {
            began: Instant::now(),
            is_service: AtomicBool::new(role == Role::Service),
            rates: Arc::clone(rates),
            requests: Bucket::default(),
            updates: Bucket::default(),
            cpu_us: Bucket::default(),
            memory_bytes: Bucket::default(),
            request_slots: Slots::default(),
            update_slots: Slots::default(),
            usual_cost_ns: AtomicU64::new(0),
            uncharged_bytes: AtomicUsize::new(0),
            refusals: Mutex::default(),
        }
    }

    /// The present role.
    pub fn role(&self) -> Role {
        match self.is_service.load(Ordering::Relaxed) {
            true => Role::Service,
            false => Role::Person,
        }
    }

    /// Changes the role, after the session has a new token. Amounts already used stay used.
    pub fn set_role(&self, role: Role) {
        let (before, now) = (*self.rates(), self.now());
        if self.role() == role {
            return;
        }
        self.is_service
            .store(role == Role::Service, Ordering::Relaxed);
        let after = self.rates();
        self.requests.convert(before.requests, after.requests, now);
        self.updates.convert(before.updates, after.updates, now);
        self.cpu_us.convert(before.cpu_us, after.cpu_us, now);
        self.memory_bytes
            .convert(before.memory_bytes, after.memory_bytes, now);
    }

    /// Admits a request that is neither an update nor an awareness update.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn admit_request(&self) -> Result<()> {
        let (rate, now) = (self.rates().requests, self.now());
        self.requests.take(1, rate, now).map_err(|wait_ns| {
            let spacing_ns = rate.filling_ns(1);
            rate_limited(self.request_slots.reserve(wait_ns, spacing_ns, now))
        })
    }

    /// Admits a document or awareness update.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there were too many, or while the session is in debt for
    /// costs that it was [charged](Self::charge).
    pub fn admit_update(&self) -> Result<()> {
        let (rates, now) = (self.rates(), self.now());
        let cpu = self.cpu_us.debt(rates.cpu_us, now);
        let memory = self.memory_bytes.debt(rates.memory_bytes, now);
        let interval_ns = rates.updates.filling_ns(1);
        let (wait_ns, spacing_ns) = match cpu.max(memory) {
            0 => match self.updates.take(1, rates.updates, now) {
                Ok(()) => return Ok(()),
                Err(wait_ns) => (wait_ns, interval_ns),
            },
            debt => (debt, interval_ns.max(self.spacing_of_costs())),
        };
        let slot = self.update_slots.reserve(wait_ns, spacing_ns, now);
        Err(rate_limited(slot))
    }

    /// How far apart updates have to be whose costs are the usual ones, with a reserve for those
    /// that cost more.
    fn spacing_of_costs(&self) -> u64 {
        let usual = self.usual_cost_ns.load(Ordering::Relaxed);
        usual.saturating_add(usual / 4)
    }

    /// Charges the cost of an update to its room: its CPU time, of which a little is
    /// free, and the memory by which the document grew, in bytes.
    pub fn charge(&self, cpu: Duration, memory_bytes: usize) {
        let cpu_us = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        let cpu_us = cpu_us.saturating_sub(FREE_CPU_US);
        let due = match memory_bytes < CHARGED_BYTES_MIN {
            true => self.add_uncharged(memory_bytes),
            false => memory_bytes,
        };
        if cpu_us == 0 && due == 0 {
            return self.note_cost(0);
        }
        let (rates, now) = (self.rates(), self.now());
        self.cpu_us.charge(cpu_us, rates.cpu_us, now);
        let bytes = due as u64;
        self.memory_bytes.charge(bytes, rates.memory_bytes, now);
        let cpu_ns = rates.cpu_us.filling_ns(cpu_us);
        self.note_cost(cpu_ns.max(rates.memory_bytes.filling_ns(bytes)));
    }

    /// Notes the cost of an update. Of two at the same time one may be lost, since it is a mean.
    fn note_cost(&self, cost_ns: u64) {
        let usual = self.usual_cost_ns.load(Ordering::Relaxed);
        if usual == 0 && cost_ns == 0 {
            return;
        }
        let mean = usual.saturating_mul(7).saturating_add(cost_ns) / 8;
        self.usual_cost_ns.store(mean, Ordering::Relaxed);
    }

    /// Adds `bytes` to the uncharged ones, and returns all of them once they are enough to
    /// be charged; 0 before.
    fn add_uncharged(&self, bytes: usize) -> usize {
        let uncharged = self.uncharged_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match uncharged < CHARGED_BYTES_MIN {
            true => 0,
            false => self.uncharged_bytes.swap(0, Ordering::Relaxed),
        }
    }

    /// Counts a refusal with [`Error::RateLimited`] and returns its kind.
    pub fn count_refusal(&self) -> RefusalKind {
        let (rates, now) = (self.rates(), self.now());
        let mut refusals = self.refusals.lock();
        let forgotten_ns = REFUSALS_FORGOTTEN_AFTER.as_nanos() as u64;
        let is_first = refusals.last.is_none_or(|last| now - last >= forgotten_ns);
        refusals.last = Some(now);
        if is_first {
            refusals.first_read = false;
        }
        let counted = match refusals.first_read {
            true => refusals.after_read.take(1, rates.refusals_after_read, now),
            false => refusals
                .before_read
                .take(1, rates.refusals_before_read, now),
        };
        match (counted, is_first) {
            (Err(_), _) => RefusalKind::Abusive,
            (Ok(()), true) => RefusalKind::First,
            (Ok(()), false) => RefusalKind::Tolerable,
        }
    }

    /// Notes that the client has read the [first](RefusalKind::First) refusal, which says
    /// when to repeat. Requests that it sends from now on are sent in spite of it.
    pub fn refusal_read(&self) {
        self.refusals.lock().first_read = true;
    }

    fn rates(&self) -> &Rates {
        match self.role() {
            Role::Person => &self.rates.person,
            Role::Service => &self.rates.service,
        }
    }

    /// Nanoseconds since the budget began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Rates {
    fn of_persons(limits: &Limits) -> Self {
        let (refusals_before_read, refusals_after_read) =
            refusals(limits.requests_per_second, limits.updates_burst);
        Self {
            refusals_before_read,
            refusals_after_read,
            requests: requests(limits.requests_per_second),
            updates: Rate::new(
                limits.updates_per_second.into(),
                limits.updates_burst.into(),
            ),
            cpu_us: cpu(limits.cpu_ms_per_second, limits.cpu_burst_ms),
            memory_bytes: Rate::new(
                limits.memory_bytes_per_second as u64,
                limits.memory_burst_bytes as u64,
            ),
        }
    }

    fn of_services(limits: &Limits) -> Self {
        let (refusals_before_read, refusals_after_read) = refusals(
            limits.service_requests_per_second,
            limits.service_updates_burst,
        );
        Self {
            refusals_before_read,
            refusals_after_read,
            requests: requests(limits.service_requests_per_second),
            updates: Rate::new(
                limits.service_updates_per_second.into(),
                limits.service_updates_burst.into(),
            ),
            cpu_us: cpu(
                limits.service_cpu_ms_per_second,
                limits.service_cpu_burst_ms,
            ),
            memory_bytes: Rate::new(
                limits.service_memory_bytes_per_second as u64,
                limits.service_memory_burst_bytes as u64,
            ),
        }
    }
}

fn requests(per_second: u32) -> Rate {
    Rate::new(per_second.into(), u64::from(per_second) * 2)
}

/// The rates of refusals before and after the client has read the first one.
fn refusals(requests_per_second: u32, updates_burst: u32) -> (Rate, Rate) {
    let tolerated = requests_per_second.saturating_mul(10).max(updates_burst);
    let under_way = tolerated.saturating_mul(UNDER_WAY_BURSTS);
    let rate = |burst: u32| Rate::new(requests_per_second.into(), burst.into());
    (rate(under_way), rate(tolerated))
}

fn cpu(ms_per_second: u64, burst_ms: u64) -> Rate {
    Rate::new(
        ms_per_second.saturating_mul(1000),
        burst_ms.saturating_mul(1000),
    )
}

fn rate_limited(wait_ns: u64) -> Error {
    Error::RateLimited {
        // Rounded up, so that a request repeated then is not too early.
        retry_after_ms: wait_ns.div_ceil(1_000_000).max(1),
    }
}

#[cfg(test)]
mod tests;
