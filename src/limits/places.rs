//! Who may hold a connection: a bounded number of places in all, and for each address.
//!
//! Each TCP connection holds a place, and so does each Engine.IO connection by polling, which has no TCP connection of its own.
//! The occupant of a place is a stranger until a token was verified for it; from then on it is trusted. There are far fewer places
//! for strangers. A newcomer for whom there is no place gets that of the stranger who has been silent for the longest time: of the
//! same address where that address has too many, otherwise of any. Only if all are trusted, the newcomer is refused. So strangers
//! take no place from one another for long, and none from those who are trusted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::occupant::{Occupant, Subnet};
use crate::{config::Limits, metrics::Metrics};

/// There is no place: the limit that is reached, by the name of its setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full(pub &'static str);

/// The places of one server. Cheap to clone.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    connections_max: usize,
    per_address_max: usize,
    strangers_max: usize,
    strangers_per_address_max: usize,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// All places that are taken.
    count: usize,
    /// The strangers, from the one that has been silent for the longest time.
    strangers: BTreeMap<u64, Weak<Place>>,
    subnets: HashMap<Subnet, Counts, RandomState>,
    last_number: u64,
}

/// The places of one subnet.
#[derive(Default)]
struct Counts {
    count: usize,
    strangers: BTreeSet<u64>,
}

/// A place that is taken. Dropping it frees it.
pub struct Place {
    shared: Arc<Shared>,
    /// A copy of the standing in `holding` that is read without a lock.
    trusted: AtomicBool,
    /// What the occupant has used of the processor, as `share` counts it.
    pub(super) used: AtomicU64,
    /// Changed only under the lock of the shared state.
    holding: Mutex<Holding>,
}

struct Holding {
    /// None for the connection of a trusted proxy.
    subnet: Option<Subnet>,
    standing: Standing,
    occupant: Option<Weak<dyn Occupant>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// With its number in the order of silence.
    Stranger(u64),
    Trusted,
    /// A newcomer got the place.
    Evicted,
}

impl Places {
    /// The places that `limits` allow, of which `connections_max` are there at most.
    pub fn new(limits: &Limits, connections_max: usize, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            connections_max: limits.connections_max.min(connections_max),
            per_address_max: limits.connections_per_address_max,
            strangers_max: limits.strangers_max.min(connections_max),
            strangers_per_address_max: limits.strangers_per_address_max,
            metrics,
            state: Mutex::default(),
        }))
    }

    /// Takes a place for a stranger from `subnet`, and evicts another one if there is none free.
    ///
    /// # Errors
    /// [`Full`] if all occupants are trusted.
    pub fn take(
        &self,
        subnet: Subnet,
        occupant: Option<Weak<dyn Occupant>>,
    ) -> Result<Arc<Place>, Full> {
        let (place, victim) = {
            let mut state = self.0.state.lock();
            let victim = self.0.make_room(&mut state, Some(subnet), 1)?;
            let number = state.next_number();
            let standing = Standing::Stranger(number);
            let place = self.0.place(Some(subnet), standing, occupant);
            state.count += 1;
            let counts = state.subnets.entry(subnet).or_default();
            counts.count += 1;
            counts.strangers.insert(number);
            state.strangers.insert(number, Arc::downgrade(&place));
            self.0.record(&state);
            (place, victim)
        };
        evict(victim);
        Ok(place)
    }

    /// Takes a place for the connection of a trusted proxy, which counts in all only.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_for_proxy(&self, occupant: Weak<dyn Occupant>) -> Result<Arc<Place>, Full> {
        let (place, victim) = {
            let mut state = self.0.state.lock();
            let victim = self.0.make_room(&mut state, None, 1)?;
            state.count += 1;
            self.0.record(&state);
            (
                self.0.place(None, Standing::Trusted, Some(occupant)),
                victim,
            )
        };
        evict(victim);
        Ok(place)
    }

    /// Evicts the stranger that has been silent for the longest time, if there is one: the
    /// process has no more file descriptors.
    pub fn evict_one(&self) {
        let victim = {
            let mut state = self.0.state.lock();
            let number = state.strangers.first_key_value().map(|(number, _)| *number);
            let victim = number.and_then(|number| state.remove_stranger(number));
            self.0.record(&state);
            victim
        };
        evict(victim);
    }
}

impl Shared {
    /// Makes sure that `more` places can be taken for a stranger from `subnet`. Returns the one
    /// that has to be evicted for it.
    fn make_room(
        &self,
        state: &mut State,
        subnet: Option<Subnet>,
        more: usize,
    ) -> Result<Option<Arc<Place>>, Full> {
        let counts = subnet.and_then(|subnet| state.subnets.get(&subnet));
        let (of_address, oldest) = counts.map_or((None, None), |counts| {
            let too_many = match counts {
                counts if counts.strangers.len() >= self.strangers_per_address_max => {
                    Some("strangers_per_address_max")
                }
                counts if counts.count >= self.per_address_max => {
                    Some("connections_per_address_max")
                }
                _ => None,
            };
            (too_many, counts.strangers.first().copied())
        });
        let of_all = || match () {
            () if subnet.is_some() && state.strangers.len() >= self.strangers_max => {
                Some("strangers_max")
            }
            () if state.count + more > self.connections_max => Some("connections_max"),
            () => None,
        };
        let (limit, number) = match of_address {
            Some(limit) => (limit, oldest),
            None => match of_all() {
                None => return Ok(None),
                Some(limit) => (limit, state.strangers.first_key_value().map(|(at, _)| *at)),
            },
        };
        self.metrics.limit_applied(limit);
        let number = number.ok_or(Full(limit))?;
        Ok(state.remove_stranger(number))
    }

    fn place(
        self: &Arc<Self>,
        subnet: Option<Subnet>,
        standing: Standing,
        occupant: Option<Weak<dyn Occupant>>,
    ) -> Arc<Place> {
        Arc::new(Place {
            shared: Arc::clone(self),
            trusted: AtomicBool::new(standing == Standing::Trusted),
            used: AtomicU64::new(0),
            holding: Mutex::new(Holding {
                subnet,
                standing,
                occupant,
            }),
        })
    }

    fn record(&self, state: &State) {
        let strangers = state.strangers.len();
        self.metrics.places_taken(strangers, state.count);
    }
}

impl State {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Frees the place of the stranger `number`, and returns it, unless it is being dropped.
    fn remove_stranger(&mut self, number: u64) -> Option<Arc<Place>> {
        // If its last reference is being dropped, that waits for this lock to free the place.
        let place = self.strangers.get(&number)?.upgrade()?;
        self.strangers.remove(&number);
        let subnet = {
            let mut holding = place.holding.lock();
            holding.standing = Standing::Evicted;
            holding.subnet
        };
        self.leave(subnet, Some(number));
        Some(place)
    }

    /// Removes a stranger from the order of silence; `false` if it is none.
    fn forget_stranger(&mut self, holding: &Holding) -> bool {
        let Standing::Stranger(number) = holding.standing else {
            return false;
        };
        self.strangers.remove(&number);
        let counts = holding.subnet.and_then(|it| self.subnets.get_mut(&it));
        if let Some(counts) = counts {
            counts.strangers.remove(&number);
        }
        true
    }

    /// Subtracts a place of `subnet` that was taken.
    fn leave(&mut self, subnet: Option<Subnet>, number: Option<u64>) {
        self.count -= 1;
        let Some(Entry::Occupied(mut entry)) = subnet.map(|subnet| self.subnets.entry(subnet))
        else {
            return;
        };
        let counts = entry.get_mut();
        counts.count -= 1;
        if let Some(number) = number {
            counts.strangers.remove(&number);
        }
        if counts.count == 0 {
            entry.remove();
        }
    }
}

impl Place {
    /// Whether a token was verified for its occupant.
    pub fn is_trusted(&self) -> bool {
        self.trusted.load(Ordering::Relaxed)
    }

    /// The part of the network that it belongs to; `None` for the connection of a proxy.
    pub fn subnet(&self) -> Option<Subnet> {
        self.holding.lock().subnet
    }

    /// Sets the occupant that is evicted for a newcomer. It is evicted at once if that has happened already.
    pub fn occupy(&self, occupant: Weak<dyn Occupant>) {
        let evicted = {
            let _state = self.shared.state.lock();
            let mut holding = self.holding.lock();
            holding.occupant = Some(occupant);
            holding.standing == Standing::Evicted
        };
        if evicted {
            self.evict_occupant();
        }
    }

    /// Notes that a token was verified for the occupant: it keeps its place.
    pub fn trust(&self) {
        if self.is_trusted() {
            return;
        }
        let mut state = self.shared.state.lock();
        let mut holding = self.holding.lock();
        if state.forget_stranger(&holding) {
            holding.standing = Standing::Trusted;
            self.trusted.store(true, Ordering::Relaxed);
        }
        self.shared.record(&state);
    }

    /// Notes that the session of the occupant has ended: it is a stranger again.
    pub fn distrust(self: &Arc<Self>) {
        let mut state = self.shared.state.lock();
        let mut holding = self.holding.lock();
        if holding.standing == Standing::Trusted && holding.subnet.is_some() {
            self.become_stranger(&mut state, &mut holding);
            self.shared.record(&state);
        }
    }

    /// Notes a sign of life: the occupant is now the last of the strangers to be evicted.
    pub fn touch(self: &Arc<Self>) {
        if self.is_trusted() {
            return;
        }
        let mut state = self.shared.state.lock();
        let mut holding = self.holding.lock();
        if state.forget_stranger(&holding) {
            self.become_stranger(&mut state, &mut holding);
        }
    }

    /// Gives the connection of a proxy to one client from `subnet`, who is a stranger. A
    /// connection that belongs to a client already stays as it is.
    ///
    /// # Errors
    /// [`Full`] if there is no place for the client.
    pub fn identify(self: &Arc<Self>, subnet: Subnet) -> Result<(), Full> {
        let victim = {
            let mut state = self.shared.state.lock();
            if self.holding.lock().subnet.is_some() {
                return Ok(());
            }
            let victim = self.shared.make_room(&mut state, Some(subnet), 0)?;
            let mut holding = self.holding.lock();
            holding.subnet = Some(subnet);
            state.subnets.entry(subnet).or_default().count += 1;
            self.become_stranger(&mut state, &mut holding);
            self.shared.record(&state);
            victim
        };
        evict(victim);
        Ok(())
    }

    fn become_stranger(self: &Arc<Self>, state: &mut State, holding: &mut Holding) {
        let number = state.next_number();
        holding.standing = Standing::Stranger(number);
        self.trusted.store(false, Ordering::Relaxed);
        state.strangers.insert(number, Arc::downgrade(self));
        let counts = holding.subnet.and_then(|it| state.subnets.get_mut(&it));
        if let Some(counts) = counts {
            counts.strangers.insert(number);
        }
    }

    fn evict_occupant(&self) {
        let occupant = self.holding.lock().occupant.clone();
        if let Some(occupant) = occupant.and_then(|occupant| occupant.upgrade()) {
            occupant.evict();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        let holding = self.holding.get_mut();
        let number = match holding.standing {
            Standing::Evicted => return,
            Standing::Trusted => None,
            Standing::Stranger(number) => Some(number),
        };
        if let Some(number) = number {
            state.strangers.remove(&number);
        }
        state.leave(holding.subnet, number);
        self.shared.record(&state);
    }
}

/// Makes the occupant of a place that was freed leave; to be called without the lock.
fn evict(victim: Option<Arc<Place>>) {
    if let Some(victim) = victim {
        victim.evict_occupant();
    }
}

#[cfg(test)]
mod tests;
