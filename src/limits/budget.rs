//! The rates and costs allowed to one session: one token bucket for each limited
//! quantity, with the rates of the session's role.
//!
//! A refusal reserves a [slot](super::slots), and says when it begins: the client that sends the
//! request again at that time is accepted. The cost of an update to its room is charged once it is
//! known, which is after the update was accepted. So the session may go into debt, and its further
//! updates are refused until the debt is paid; their slots are as far apart as its updates cost
//! lately. The bytes of a request are charged when it is accepted, and may be a debt too.

mod rates;
mod refusals;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

pub use self::{rates::BudgetRates, refusals::RefusalKind};
use self::{
    rates::{Limit, Rates},
    refusals::Refusals,
};
use super::{bucket::Bucket, role::Role, slots::Slots, user::UserBudget};
use crate::error::{Error, Result};

/// The CPU time of each update that is not charged, in microseconds.
const FREE_CPU_US: u64 = 50;
/// So many bytes of memory are added up before they are charged, since typing adds a few
/// bytes at a time, and reading the clock takes longer than the rest of a charge.
const CHARGED_BYTES_MIN: usize = 64 * 1024;
/// The same for bytes that arrive: most updates have a few dozen.
const CHARGED_RECEIVED_MIN: usize = 16 * 1024;
/// An answer to a join or a synchronisation counts as one join for each of so many bytes.
const JOIN_BYTES: usize = 64 * 1024;

/// The budgets of one session. No method blocks or waits.
#[derive(Debug)]
pub struct Budget {
    is_service: AtomicBool,
    rates: Arc<BudgetRates>,
    user: Arc<UserBudget>,
    requests: Bucket,
    updates: Bucket,
    cpu_us: Bucket,
    memory_bytes: Bucket,
    received_bytes: Bucket,
    request_slots: Slots,
    update_slots: Slots,
    /// The mean cost of the last updates: for how long it would keep an empty bucket in debt, in
    /// nanoseconds.
    usual_cost_ns: AtomicU64,
    /// Bytes of memory that are not charged yet.
    uncharged_bytes: AtomicUsize,
    /// Bytes that have arrived and are not charged yet.
    uncharged_received: AtomicUsize,
    refusals: Mutex<Refusals>,
}

/// The role of a session and its rates at one moment.
struct Present<'a> {
    role: Role,
    rates: &'a Rates,
    now: u64,
}

impl Budget {
    /// Full budgets of a session of `user`, with these rates.
    pub fn new(rates: &Arc<BudgetRates>, user: Arc<UserBudget>, role: Role) -> Self {
        Self {
            is_service: AtomicBool::new(role == Role::Service),
            rates: Arc::clone(rates),
            user,
            requests: Bucket::default(),
            updates: Bucket::default(),
            cpu_us: Bucket::default(),
            memory_bytes: Bucket::default(),
            received_bytes: Bucket::default(),
            request_slots: Slots::default(),
            update_slots: Slots::default(),
            usual_cost_ns: AtomicU64::new(0),
            uncharged_bytes: AtomicUsize::new(0),
            uncharged_received: AtomicUsize::new(0),
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
        let Present {
            role: present,
            rates: before,
            now,
        } = self.present();
        if present == role {
            return;
        }
        self.is_service
            .store(role == Role::Service, Ordering::Relaxed);
        let after = self.rates.of(role);
        self.requests.convert(before.requests, after.requests, now);
        self.updates.convert(before.updates, after.updates, now);
        self.cpu_us.convert(before.cpu_us, after.cpu_us, now);
        self.memory_bytes
            .convert(before.memory_bytes, after.memory_bytes, now);
        self.received_bytes
            .convert(before.received_bytes, after.received_bytes, now);
    }

    /// Admits a request of `bytes` bytes that is neither an update nor an awareness update.
    ///
    /// # Errors
    /// [`Error::RateLimited`].
    pub fn admit_request(&self, bytes: usize) -> Result<()> {
        let present = self.present();
        self.admit_received(&self.request_slots, bytes, &present)?;
        self.take_request(&present)?;
        self.charge_received_at(bytes, &present);
        Ok(())
    }

    /// Admits a request of `bytes` bytes to join a room or to synchronise.
    ///
    /// # Errors
    /// [`Error::RateLimited`] also while the user is in debt for
    /// [answers](Self::charge_answer).
    pub fn admit_join(&self, bytes: usize) -> Result<()> {
        let present = self.present();
        let Present { role, rates, now } = present;
        self.admit_received(&self.request_slots, bytes, &present)?;
        self.take_request(&present)?;
        self.user.joins.take(1, rates.joins, now).map_err(|wait| {
            let spacing = rates.joins.filling_ns(1);
            let slot = self.user.slots.reserve(wait, spacing, now);
            self.refuse_by(Limit::Joins, role, slot)
        })?;
        self.charge_received_at(bytes, &present);
        Ok(())
    }

    /// Admits a document or awareness update of `bytes` bytes.
    ///
    /// # Errors
    /// [`Error::RateLimited`] if there were too many, or while the session is in debt for
    /// costs that it was [charged](Self::charge).
    pub fn admit_update(&self, bytes: usize) -> Result<()> {
        let present = self.present();
        let Present { role, rates, now } = present;
        let cpu = self.cpu_us.debt(rates.cpu_us, now);
        let memory = self.memory_bytes.debt(rates.memory_bytes, now);
        if cpu.max(memory) > 0 {
            let limit = match cpu >= memory {
                true => Limit::Cpu,
                false => Limit::Memory,
            };
            let spacing = rates.updates.filling_ns(1).max(self.spacing_of_costs());
            let slot = self.update_slots.reserve(cpu.max(memory), spacing, now);
            return Err(self.refuse_by(limit, role, slot));
        }
        self.admit_received(&self.update_slots, bytes, &present)?;
        self.updates.take(1, rates.updates, now).map_err(|wait| {
            let spacing = rates.updates.filling_ns(1);
            let slot = self.update_slots.reserve(wait, spacing, now);
            self.refuse_by(Limit::Updates, role, slot)
        })?;
        self.charge_received_at(bytes, &present);
        Ok(())
    }

    fn take_request(&self, &Present { role, rates, now }: &Present<'_>) -> Result<()> {
        let rate = rates.requests;
        self.requests.take(1, rate, now).map_err(|wait| {
            let spacing = rate.filling_ns(1);
            let slot = self.request_slots.reserve(wait, spacing, now);
            self.refuse_by(Limit::Requests, role, slot)
        })
    }

    /// Refuses a request of `bytes` bytes while the session or the user is in debt for bytes.
    fn admit_received(
        &self,
        slots: &Slots,
        bytes: usize,
        &Present { role, rates, now }: &Present<'_>,
    ) -> Result<()> {
        let own = self.received_bytes.debt(rates.received_bytes, now);
        let (limit, rate, debt, slots) = if own > 0 {
            (Limit::Received, rates.received_bytes, own, slots)
        } else {
            let rate = rates.user_received_bytes;
            let debt = self.user.received_bytes.debt(rate, now);
            (Limit::UserReceived, rate, debt, &self.user.slots)
        };
        if debt == 0 {
            return Ok(());
        }
        let slot = slots.reserve(debt, rate.filling_ns(bytes as u64), now);
        Err(self.refuse_by(limit, role, slot))
    }

    /// Charges `bytes` bytes that have arrived after their request was admitted.
    pub fn charge_received(&self, bytes: usize) {
        self.charge_received_at(bytes, &self.present());
    }

    fn charge_received_at(&self, bytes: usize, &Present { rates, now, .. }: &Present<'_>) {
        let due = add_up(&self.uncharged_received, bytes, CHARGED_RECEIVED_MIN);
        if due == 0 {
            return;
        }
        let (bytes, user) = (due as u64, &self.user);
        self.received_bytes.charge(bytes, rates.received_bytes, now);
        user.received_bytes
            .charge(bytes, rates.user_received_bytes, now);
    }

    /// Charges the answer of `bytes` bytes to a join or a synchronisation, which was counted as one
    /// join when it was admitted: one more for each 64 KiB.
    pub fn charge_answer(&self, bytes: usize) {
        let joins = bytes / JOIN_BYTES;
        if joins > 0 {
            let Present { rates, now, .. } = self.present();
            self.user.joins.charge(joins as u64, rates.joins, now);
        }
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
        let due = add_up(&self.uncharged_bytes, memory_bytes, CHARGED_BYTES_MIN);
        if cpu_us == 0 && due == 0 {
            return self.note_cost(0);
        }
        let Present { rates, now, .. } = self.present();
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

    fn refuse_by(&self, limit: Limit, role: Role, wait_ns: u64) -> Error {
        // Rounded up, so that a request repeated then is not too early.
        let retry_after_ms = wait_ns.div_ceil(1_000_000).max(1);
        self.refuse(limit.name(role), retry_after_ms)
    }

    /// The refusal of a request by a `limit` that is not one of these budgets, counted like theirs.
    pub fn refuse(&self, limit: &'static str, retry_after_ms: u64) -> Error {
        let UserBudget { team, id, .. } = &*self.user;
        self.rates.count(team, id, limit, retry_after_ms);
        Error::RateLimited {
            limit,
            retry_after_ms,
        }
    }

    /// Counts a refusal with [`Error::RateLimited`] and returns its kind.
    pub fn count_refusal(&self) -> RefusalKind {
        let Present { rates, now, .. } = self.present();
        self.refusals.lock().count(rates, now)
    }

    /// Notes that the client has read the [first](RefusalKind::First) refusal, which says
    /// when to repeat. Requests that it sends from now on are sent in spite of it.
    pub fn refusal_read(&self) {
        self.refusals.lock().first_read = true;
    }

    fn present(&self) -> Present<'_> {
        let role = self.role();
        Present {
            role,
            rates: self.rates.of(role),
            now: self.rates.now(),
        }
    }
}

/// Adds `bytes` to the `uncharged` ones, and returns all of them once they are at least `min`;
/// 0 before.
fn add_up(uncharged: &AtomicUsize, bytes: usize, min: usize) -> usize {
    if bytes >= min {
        return bytes;
    }
    let sum = uncharged.fetch_add(bytes, Ordering::Relaxed) + bytes;
    match sum < min {
        true => 0,
        false => uncharged.swap(0, Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests;
