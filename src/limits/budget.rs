//! How fast one session may go, and what it may cost: token buckets, one for each
//! limited thing, with the rates of the session's role.
//!
//! A refusal says when the same request would pass. What a session's updates cost the
//! rooms is charged when it is known, which is after the fact: the session may go into
//! debt, and is refused further updates until time has paid it.
//!
//! Who goes on regardless is told apart from who could not know better. The client's
//! first refusal comes with a ping, and what it sends before it answers that was under
//! way already: somebody who comes back after hours sends what was typed meanwhile in
//! one go. Only refusals behind the answer count as persistence.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::bucket::{Bucket, Rate};
use crate::{
    auth::{Right, Rights},
    config::Limits,
    error::{Error, Result},
};

/// The CPU time of each update that costs its session nothing, in microseconds.
const FREE_CPU_US: u64 = 50;
/// So many bytes of memory are gathered before they are charged: a look at the clock
/// takes longer than all else, and people who type add a few bytes at a time.
const GATHERED_BYTES: usize = 64 * 1024;
/// After so long without a refusal, the next one is a first one again.
const CALM: Duration = Duration::from_secs(10);
/// How many bursts of updates may be under way when the first refusal is read.
const UNDER_WAY_BURSTS: u32 = 20;

/// Whose limits hold for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A person's: whoever does not publish.
    Person,
    /// A server of the platform, which acts for many people.
    Service,
}

impl Role {
    /// The role of who holds `rights` outside of any document.
    pub fn of(rights: Rights) -> Self {
        match rights.allows(Right::Publish) {
            true => Role::Service,
            false => Role::Person,
        }
    }
}

/// What to do with a session whose request was refused for its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persistence {
    /// It is the first one: answer it, and [tell the budget](Budget::heard) once the
    /// client has shown that it has read so far.
    New,
    /// It may not know yet, or just be in a hurry: answer it.
    Tolerable,
    /// It goes on regardless: cut it.
    Abusive,
}

/// The rates of one role.
#[derive(Clone, Copy, Debug)]
struct Rates {
    requests: Rate,
    updates: Rate,
    cpu_us: Rate,
    memory_bytes: Rate,
}

/// The budgets of one session. Nothing here blocks or waits.
#[derive(Debug)]
pub struct Budget {
    began: Instant,
    is_service: AtomicBool,
    person: Rates,
    service: Rates,
    requests: Bucket,
    updates: Bucket,
    cpu_us: Bucket,
    memory_bytes: Bucket,
    /// Bytes of memory that are not charged yet.
    gathered_bytes: AtomicUsize,
    refusals: Mutex<Refusals>,
    refusals_rate: Rate,
    under_way_rate: Rate,
}

/// How a session takes being refused.
#[derive(Debug, Default)]
struct Refusals {
    /// When the last one was, in nanoseconds since the budget began.
    last: Option<u64>,
    /// The client has read the first of these.
    heard: bool,
    under_way: Bucket,
    persistent: Bucket,
}

impl Budget {
    /// Full budgets, as `limits` sets them.
    pub fn new(limits: &Limits, role: Role) -> Self {
        let requests = limits.requests_per_second;
        let refusals = requests.saturating_mul(10).max(limits.updates_burst);
        let under_way = refusals.saturating_mul(UNDER_WAY_BURSTS);
        Self {
            began: Instant::now(),
            is_service: AtomicBool::new(role == Role::Service),
            person: Rates::of_persons(limits),
            service: Rates::of_services(limits),
            requests: Bucket::default(),
            updates: Bucket::default(),
            cpu_us: Bucket::default(),
            memory_bytes: Bucket::default(),
            gathered_bytes: AtomicUsize::new(0),
            refusals: Mutex::default(),
            refusals_rate: Rate::new(requests.into(), refusals.into()),
            under_way_rate: Rate::new(requests.into(), under_way.into()),
        }
    }

    /// Whose limits hold.
    pub fn role(&self) -> Role {
        match self.is_service.load(Ordering::Relaxed) {
            true => Role::Service,
            false => Role::Person,
        }
    }

    /// Goes on with the limits of `role`: the session has a fresh token. What was used stays used.
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

    /// Any request that is neither an update nor an awareness update.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn admit_request(&self) -> Result<()> {
        let taken = self.requests.take(1, self.rates().requests, self.now());
        taken.map_err(rate_limited)
    }

    /// A document or awareness update.
    ///
    /// # Errors
    /// [`Error::RateLimited`], where too many came, or where the session has yet to
    /// pay for what it was [charged](Self::charge).
    pub fn admit_update(&self) -> Result<()> {
        let (rates, now) = (self.rates(), self.now());
        let cpu = self.cpu_us.debt(rates.cpu_us, now);
        let memory = self.memory_bytes.debt(rates.memory_bytes, now);
        match cpu.max(memory) {
            0 => self
                .updates
                .take(1, rates.updates, now)
                .map_err(rate_limited),
            debt => Err(rate_limited(debt)),
        }
    }

    /// Notes what an update cost its room: the time of its work, of which a little is
    /// free, and the memory by which the document grew, in bytes.
    pub fn charge(&self, cpu: Duration, memory_bytes: usize) {
        let cpu_us = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        let cpu_us = cpu_us.saturating_sub(FREE_CPU_US);
        let due = match memory_bytes < GATHERED_BYTES {
            true => self.gather(memory_bytes),
            false => memory_bytes,
        };
        if cpu_us == 0 && due == 0 {
            return;
        }
        let (rates, now) = (self.rates(), self.now());
        self.cpu_us.charge(cpu_us, rates.cpu_us, now);
        let bytes = due as u64;
        self.memory_bytes.charge(bytes, rates.memory_bytes, now);
    }

    /// Adds a few bytes to those that are gathered; takes them all once they are enough.
    fn gather(&self, bytes: usize) -> usize {
        let gathered = self.gathered_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match gathered < GATHERED_BYTES {
            true => 0,
            false => self.gathered_bytes.swap(0, Ordering::Relaxed),
        }
    }

    /// Counts a refusal that [`Error::RateLimited`] caused.
    pub fn count_refusal(&self) -> Persistence {
        let now = self.now();
        let mut refusals = self.refusals.lock();
        let calm_ns = CALM.as_nanos() as u64;
        let is_first = refusals.last.is_none_or(|last| now - last >= calm_ns);
        refusals.last = Some(now);
        if is_first {
            refusals.heard = false;
        }
        let counted = match refusals.heard {
            true => refusals.persistent.take(1, self.refusals_rate, now),
            false => refusals.under_way.take(1, self.under_way_rate, now),
        };
        match (counted, is_first) {
            (Err(_), _) => Persistence::Abusive,
            (Ok(()), true) => Persistence::New,
            (Ok(()), false) => Persistence::Tolerable,
        }
    }

    /// The client has read the refusal that was [`New`](Persistence::New), and with it
    /// when to come back: what it sends from now on, it sends knowingly.
    pub fn heard(&self) {
        self.refusals.lock().heard = true;
    }

    fn rates(&self) -> &Rates {
        match self.role() {
            Role::Person => &self.person,
            Role::Service => &self.service,
        }
    }

    /// Nanoseconds since the budget began.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Rates {
    fn of_persons(limits: &Limits) -> Self {
        Self {
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
        Self {
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

fn cpu(ms_per_second: u64, burst_ms: u64) -> Rate {
    Rate::new(
        ms_per_second.saturating_mul(1000),
        burst_ms.saturating_mul(1000),
    )
}

fn rate_limited(wait_ns: u64) -> Error {
    Error::RateLimited {
        // Rounded up: what comes back then is not too early.
        retry_after_ms: wait_ns.div_ceil(1_000_000).max(1),
    }
}

#[cfg(test)]
mod tests;
