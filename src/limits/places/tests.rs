use std::{net::IpAddr, sync::atomic::AtomicUsize};

use super::*;

#[derive(Default)]
struct Tenant(AtomicUsize);

impl Occupant for Tenant {
    fn evict(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Places, and the tenants that took them.
struct World {
    places: Places,
    taken: Vec<(Arc<Tenant>, Arc<Place>)>,
}

impl World {
    fn new(all: usize, per_address: usize, strangers: usize, strangers_per_address: usize) -> Self {
        let limits = Limits {
            connections_max: all,
            connections_per_address_max: per_address,
            strangers_max: strangers,
            strangers_per_address_max: strangers_per_address,
            ..Limits::default()
        };
        Self {
            places: Places::new(&limits, usize::MAX, Metrics::new()),
            taken: Vec::new(),
        }
    }

    /// A newcomer from 10.0.0.`host`; returns its index.
    fn come(&mut self, host: u8) -> Result<usize, Full> {
        let tenant = Arc::<Tenant>::default();
        let occupant: Weak<dyn Occupant> = Arc::<Tenant>::downgrade(&tenant);
        let place = self
            .places
            .take(Subnet::V4([10, 0, 0, host]), Some(occupant))?;
        self.taken.push((tenant, place));
        Ok(self.taken.len() - 1)
    }

    fn place(&self, index: usize) -> &Arc<Place> {
        &self.taken[index].1
    }

    /// The indices of those that were evicted.
    fn evicted(&self) -> Vec<usize> {
        let gone = |(index, (tenant, _)): (usize, &(Arc<Tenant>, _))| {
            let times = tenant.0.load(Ordering::SeqCst);
            assert!(times < 2, "evicted once");
            (times == 1).then_some(index)
        };
        self.taken.iter().enumerate().filter_map(gone).collect()
    }

    fn count(&self) -> (usize, usize, usize) {
        let state = self.places.0.state.lock();
        (state.count, state.strangers.len(), state.subnets.len())
    }
}

#[test]
fn the_stranger_of_the_same_address_that_was_silent_longest_is_evicted_first() {
    let mut world = World::new(100, 100, 100, 3);
    for host in [1, 2, 1, 1] {
        world.come(host).expect("a place");
    }
    world.place(0).touch();
    world.come(1).expect("a place");
    assert_eq!(world.evicted(), [2]);
    world.place(3).trust();
    world.come(1).expect("a place");
    assert_eq!(
        world.evicted(),
        [2],
        "those with a token do not count as strangers"
    );
    world.come(1).expect("a place");
    assert_eq!(world.evicted(), [0, 2]);
    world.place(3).distrust();
    world.come(1).expect("a place");
    assert_eq!(
        world.evicted(),
        [0, 2, 4],
        "who was trusted last is the last to go"
    );
}

#[test]
fn a_newcomer_is_refused_only_where_everybody_is_trusted() {
    let mut world = World::new(3, 2, 100, 100);
    let first = world.come(1).expect("a place");
    let second = world.come(1).expect("a place");
    world.place(first).trust();
    world.come(1).expect("the place of the second");
    assert_eq!(world.evicted(), [second]);
    world.place(2).trust();
    assert_eq!(
        world.come(1).err(),
        Some(Full("connections_per_address_max"))
    );
    let other = world.come(2).expect("a place");
    world.come(3).expect("the place of the only stranger");
    assert_eq!(world.evicted(), [second, other]);
    world.place(4).trust();
    assert_eq!(world.come(4).err(), Some(Full("connections_max")));
    world.taken.pop();
    world.come(4).expect("a place that was freed");
}

#[test]
fn strangers_of_all_addresses_together_are_bounded() {
    let mut world = World::new(100, 100, 2, 2);
    for host in 1..=5 {
        world.come(host).expect("a place");
    }
    assert_eq!(world.evicted(), [0, 1, 2]);
    assert_eq!(world.count(), (2, 2, 2));
    world.taken.clear();
    assert_eq!(world.count(), (0, 0, 0), "nothing is left behind");
}

#[test]
fn the_connection_of_a_proxy_becomes_the_clients_whom_it_serves() {
    let mut world = World::new(100, 100, 100, 1);
    let tenant = Arc::<Tenant>::default();
    let occupant: Weak<dyn Occupant> = Arc::<Tenant>::downgrade(&tenant);
    let place = world.places.take_for_proxy(occupant).expect("a place");
    world.come(1).expect("a place");
    assert!(place.is_trusted(), "proxies are not evicted");
    place.identify(Subnet::V4([10, 0, 0, 1])).expect("a place");
    assert_eq!(world.evicted(), [0], "it counts as the client's");
    assert!(!place.is_trusted());
    world.taken.push((tenant, place));
    world.come(1).expect("a place");
    assert_eq!(world.evicted(), [0, 1]);
    world.taken.clear();
    assert_eq!(world.count(), (0, 0, 0));
}

#[test]
fn who_is_evicted_before_it_is_known_is_evicted_when_it_is() {
    let world = World::new(100, 100, 1, 1);
    let subnet = Subnet::V4([10, 0, 0, 1]);
    let early = world.places.take(subnet, None).expect("a place");
    let _late = world.places.take(subnet, None).expect("a place");
    let tenant = Arc::<Tenant>::default();
    let occupant: Weak<dyn Occupant> = Arc::<Tenant>::downgrade(&tenant);
    early.occupy(occupant);
    assert_eq!(tenant.0.load(Ordering::SeqCst), 1);
    early.trust();
    drop(early);
    assert_eq!(world.count(), (1, 1, 1), "its place is freed once");
}

#[test]
fn addresses_of_one_customer_are_one_subnet() {
    let subnet = |text: &str| Subnet::from(text.parse::<IpAddr>().expect("an address"));
    assert_eq!(subnet("2001:db8::1"), subnet("2001:db8::ffff:1"));
    assert_ne!(subnet("2001:db8::1"), subnet("2001:db8:0:1::1"));
    assert_eq!(subnet("::ffff:192.0.2.1"), subnet("192.0.2.1"));
    assert_ne!(subnet("192.0.2.1"), subnet("192.0.2.2"));
}
