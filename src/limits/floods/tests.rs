use super::*;

struct World {
    now: Instant,
    floods: Floods,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            now,
            floods: Floods::new(now),
        }
    }

    /// Passes an interval in which `count` connections of each of these addresses were refused.
    fn pass(&mut self, refused: &[(Subnet, u32)]) -> Option<Vec<Subnet>> {
        for (subnet, count) in refused {
            for _ in 0..*count {
                self.floods.refuse(*subnet);
            }
        }
        self.now += INTERVAL;
        self.floods.look(self.now)
    }

    /// Passes an interval in which this address attempts `attempts` connections, of which 100 are served. Returns how many
    /// were refused.
    fn attempt(&mut self, subnet: Subnet, attempts: u32) -> u32 {
        let refused = (f64::from(attempts) * self.passes(subnet)) as u32;
        let refused = refused.saturating_sub(100);
        self.pass(&[(subnet, refused)]);
        refused
    }

    fn passes(&self, subnet: Subnet) -> f64 {
        let flood = self.floods.found().iter().find(|it| it.subnet == subnet);
        flood.map_or(1.0, |flood| flood.passes)
    }
}

fn address(host: u8) -> Subnet {
    Subnet::V4([10, 0, 0, host])
}

#[test]
fn a_flood_is_found_and_its_refusals_become_few_but_some_attempts_pass() {
    let mut world = World::new();
    let one = address(1);
    let first: u32 = (0..10).map(|_| world.attempt(one, 6000)).sum();
    assert!(first < 15_000, "{first} of 60,000 were refused at first");
    let later: u32 = (0..600).map(|_| world.attempt(one, 6000)).sum();
    let average = later / 600;
    assert!(average < REFUSALS_MAX, "{average} in an interval");
    assert!(
        average > REFUSALS_MAX / 4,
        "those that would be served pass"
    );
    for _ in 0..100 {
        world.attempt(one, 1_000_000);
    }
    assert_eq!(world.passes(one), PASSES_MIN);
}

#[test]
fn an_address_that_floods_no_more_is_forgotten_within_ten_seconds() {
    let mut world = World::new();
    for _ in 0..100 {
        world.attempt(address(1), 1_000_000);
    }
    let mut intervals = 0;
    while !world.floods.found().is_empty() {
        // Others that flood do not delay it.
        world.pass(&[(address(1), 1), (address(2), 6000)]);
        intervals += 1;
        if world.passes(address(1)) >= 1.0 {
            break;
        }
    }
    assert!(intervals <= 100, "{intervals} intervals");
}

#[test]
fn few_refusals_and_addresses_with_less_than_the_others_are_no_flood() {
    let mut world = World::new();
    assert_eq!(world.pass(&[(address(1), REFUSALS_MAX)]), None);
    let some = [(address(1), 10), (address(2), 1000)];
    assert_eq!(world.pass(&some), Some(vec![address(2)]));
    assert_eq!(world.pass(&some), Some(vec![]), "it was found before");
    assert_eq!(world.passes(address(1)), 1.0);
    assert_eq!(world.passes(address(2)), 0.25);
}

#[test]
fn of_more_addresses_than_it_holds_those_with_the_most_refusals_are_found() {
    let mut world = World::new();
    let many: Vec<_> = (0..200).map(|host| (address(host), 100)).collect();
    let new = world.pass(&many).expect("a change");
    assert_eq!(
        (new.len(), world.floods.found().len()),
        (FLOODS_MAX, FLOODS_MAX)
    );
    let heavy = (address(250), 5000);
    assert_eq!(world.pass(&[heavy]), Some(vec![heavy.0]));
    assert_eq!(world.floods.found().len(), FLOODS_MAX);
    assert_eq!(world.floods.found()[0].subnet, heavy.0);
}

#[test]
fn nothing_is_looked_at_before_an_interval_has_passed() {
    let mut world = World::new();
    for _ in 0..10_000 {
        world.floods.refuse(address(1));
    }
    assert_eq!(world.floods.look(world.now + INTERVAL / 2), None);
    assert_eq!(
        world.floods.look(world.now + INTERVAL),
        Some(vec![address(1)])
    );
}
