//! Counts, latencies and faults of a scenario.

use std::{
    cell::{Cell, RefCell},
    time::Instant,
};

use crate::histogram::Histogram;

/// The number of faults whose text is kept; further ones are only counted.
const FAULTS_MAX: usize = 5;

/// Counts deliveries and latencies while it is switched on.
#[derive(Debug)]
pub struct Meter {
    epoch: Instant,
    /// When it was switched on.
    since: Cell<Option<u64>>,
    updates: Cell<u64>,
    cursors: Cell<u64>,
    states: Cell<u64>,
    bytes: Cell<u64>,
    /// Counts all received messages, switched on or off, to detect whether any still arrive.
    arrivals: Cell<u64>,
    latency: RefCell<Histogram>,
    saved: RefCell<Histogram>,
    faults: RefCell<Vec<String>>,
    fault_count: Cell<u64>,
    resyncs: Cell<u64>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            epoch: Instant::now(),
            since: Cell::default(),
            updates: Cell::default(),
            cursors: Cell::default(),
            states: Cell::default(),
            bytes: Cell::default(),
            arrivals: Cell::default(),
            latency: RefCell::default(),
            saved: RefCell::default(),
            faults: RefCell::default(),
            fault_count: Cell::default(),
            resyncs: Cell::default(),
        }
    }
}

impl Meter {
    /// Nanoseconds since the meter was created.
    pub fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// Switches it on.
    pub fn start(&self) {
        self.since.set(Some(self.now()));
    }

    /// Switches it off.
    pub fn stop(&self) {
        self.since.set(None);
    }

    /// Whether it is switched on.
    pub fn is_on(&self) -> bool {
        self.since.get().is_some()
    }

    /// Notes that `count` updates arrived at one client.
    pub fn updates(&self, count: u64) {
        self.arrivals.set(self.arrivals.get() + 1);
        if self.since.get().is_some() {
            self.updates.set(self.updates.get() + count);
        }
    }

    /// Notes that a cursor arrived at one client after `count` moves.
    pub fn cursors(&self, count: u64) {
        self.arrivals.set(self.arrivals.get() + 1);
        if self.since.get().is_some() {
            self.cursors.set(self.cursors.get() + count);
            self.states.set(self.states.get() + 1);
        }
    }

    /// Notes that one client received a message of `bytes` bytes.
    pub fn received(&self, bytes: usize) {
        if self.since.get().is_some() {
            self.bytes.set(self.bytes.get() + bytes as u64);
        }
    }

    /// The bytes of all received messages, without the framing of WebSocket.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Notes that a message that was sent at `sent` arrived at `now`.
    pub fn latency(&self, sent: u64, now: u64) {
        if self.since.get().is_some_and(|since| sent >= since) {
            self.latency.borrow_mut().add(now.saturating_sub(sent));
        }
    }

    /// Notes the ack, at `now`, of an update that was sent at `sent`.
    pub fn saved(&self, sent: u64, now: u64) {
        self.arrivals.set(self.arrivals.get() + 1);
        if self.since.get().is_some_and(|since| sent >= since) {
            self.saved.borrow_mut().add(now.saturating_sub(sent));
        }
    }

    /// Notes that a client was told to synchronise.
    pub fn resync(&self) {
        self.resyncs.set(self.resyncs.get() + 1);
    }

    /// Notes a fault.
    pub fn fault(&self, what: impl Into<String>) {
        self.fault_count.set(self.fault_count.get() + 1);
        let mut faults = self.faults.borrow_mut();
        if faults.len() < FAULTS_MAX {
            faults.push(what.into());
        }
    }

    /// The deliveries of updates and of cursors.
    pub fn deliveries(&self) -> (u64, u64) {
        (self.updates.get(), self.cursors.get())
    }

    /// The number of cursors that were received.
    pub fn states(&self) -> u64 {
        self.states.get()
    }

    /// The number of received messages.
    pub fn arrivals(&self) -> u64 {
        self.arrivals.get()
    }

    /// A quantile of the latency, in milliseconds.
    pub fn latency_ms(&self, share: f64) -> Option<f64> {
        let latency = self.latency.borrow().quantile(share)?;
        Some(latency.as_secs_f64() * 1e3)
    }

    /// A quantile of the time until the ack, in milliseconds.
    pub fn saved_ms(&self, share: f64) -> Option<f64> {
        let saved = self.saved.borrow().quantile(share)?;
        Some(saved.as_secs_f64() * 1e3)
    }

    /// How often clients were told to synchronise.
    pub fn resyncs(&self) -> u64 {
        self.resyncs.get()
    }

    /// The text of the faults; `None` without any.
    pub fn faults(&self) -> Option<String> {
        let faults = self.faults.borrow();
        let count = self.fault_count.get();
        let words = faults.join("; ");
        match count {
            0 => None,
            _ if count as usize > faults.len() => Some(format!("{count} faults: {words}; …")),
            _ => Some(words),
        }
    }
}
