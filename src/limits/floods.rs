//! Which addresses flood: they open many more connections than strangers get served.
//!
//! A connection that is refused has cost the kernel all its work already. So where many are refused, the kernel drops a part of the
//! attempts to connect of the addresses that they come from, before there is a connection (`front` has it do so). What passes is
//! chosen at random for each attempt, and a client whose attempt was dropped repeats it after 1, 3 and 7 seconds, or more often. So
//! others at the same address get in: each repetition has the same chance, whenever it comes. Were the attempts of some part of each second let
//! through instead, repetitions a second apart would all fall into the same part of it, and those that pass would come at once,
//! more than wait for turns, and be refused.
//!
//! The part that passes follows the refusals: while more connections are refused than this module allows, it is halved for the addresses with the most;
//! otherwise it grows, until everything passes. So nearly all that pass are served, and an address that floods no more is
//! forgotten within ten seconds.
//!
//! Limits: [`FLOODS_MAX`] addresses. Of more, those with the most refusals are found.

use std::{collections::HashMap, mem, time::Duration};

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::occupant::Subnet;

/// The time between two looks at what was refused.
const INTERVAL: Duration = Duration::from_millis(100);
/// So many connections may be refused in an interval, which takes some 2 % of a processor, before attempts to connect are dropped.
const REFUSALS_MAX: u32 = 200;
/// The most addresses that are found to flood at a time.
pub const FLOODS_MAX: usize = 64;
/// At least this part of the attempts of an address passes.
const PASSES_MIN: f64 = 1.0 / 256.0;
/// The part that passes grows by an eighth of itself in an interval, and by no more than this: an address that floods again as
/// soon as everything passes is limited for most of the time.
const GROWTH_MAX: f64 = 1.0 / 64.0;
/// Over so many intervals what an address attempts is averaged.
const AVERAGED: f64 = 8.0;

/// An address that floods.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flood {
    /// The address.
    pub subnet: Subnet,
    /// The part of its attempts to connect that pass, from 0 to 1.
    pub passes: f64,
    /// How many of its connections would be refused in an interval if everything passed.
    rate: f64,
}

/// The addresses that flood.
pub struct Floods {
    looked: Instant,
    /// How many connections were refused since then.
    refused: HashMap<Subnet, u32, RandomState>,
    found: Vec<Flood>,
}

impl Floods {
    /// No address floods.
    pub fn new(now: Instant) -> Self {
        Self {
            looked: now,
            refused: HashMap::default(),
            found: Vec::new(),
        }
    }

    /// Notes that a connection from `subnet` was refused because strangers have used their share of the processor.
    pub fn refuse(&mut self, subnet: Subnet) {
        *self.refused.entry(subnet).or_default() += 1;
    }

    /// The addresses that flood, those with the most attempts first.
    pub fn found(&self) -> &[Flood] {
        &self.found
    }

    /// Looks at what was refused, if it is time to. Returns the addresses that flood since this look if what is
    /// [`found`](Self::found) has changed.
    pub fn look(&mut self, now: Instant) -> Option<Vec<Subnet>> {
        if now.duration_since(self.looked) < INTERVAL {
            return None;
        }
        self.looked = now;
        let had_floods = !self.found.is_empty();
        if self.refused.is_empty() && !had_floods {
            return None;
        }
        let mut refused = mem::take(&mut self.refused);
        let total: u32 = refused.values().sum();
        let mean = total.checked_div(u32::try_from(refused.len()).unwrap_or(u32::MAX));
        let many = mean.filter(|_| total > REFUSALS_MAX).unwrap_or(u32::MAX);
        for flood in &mut self.found {
            flood.follow(refused.remove(&flood.subnet).unwrap_or(0), many);
        }
        self.found.retain(|flood| flood.passes < 1.0);
        let mut new = Vec::new();
        for (subnet, count) in refused.into_iter().filter(|(_, count)| *count >= many) {
            new.push(subnet);
            self.found.push(Flood {
                subnet,
                passes: 0.5,
                rate: f64::from(count),
            });
        }
        self.found.sort_by(|a, b| b.rate.total_cmp(&a.rate));
        for dropped in self.found.drain(FLOODS_MAX.min(self.found.len())..) {
            new.retain(|subnet| *subnet != dropped.subnet);
        }
        (had_floods || !new.is_empty()).then_some(new)
    }
}

impl Flood {
    /// A flood of an address of whose attempts this part passes.
    #[cfg(test)]
    pub fn new(subnet: Subnet, passes: f64) -> Self {
        let rate = 0.0;
        Self {
            subnet,
            passes,
            rate,
        }
    }

    /// Reacts to `refused` connections in an interval in which `many` were too many.
    fn follow(&mut self, refused: u32, many: u32) {
        self.rate += (f64::from(refused) / self.passes - self.rate) / AVERAGED;
        self.passes = match refused >= many {
            true => (self.passes / 2.0).max(PASSES_MIN),
            false => self.passes + (self.passes / 8.0).min(GROWTH_MAX),
        };
    }
}

#[cfg(test)]
mod tests;
