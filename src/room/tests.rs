//! A room's core under random schedules, beside a plain model.
//!
//! Everything around the core is simulated: clients that hold what they were told, a log that
//! refuses and that others write to, queues that are full, and the time. So ten thousand
//! histories take seconds, and one that fails is shrunk to the few steps that matter.

mod client;
mod log;
mod people;
mod world;

use proptest::prelude::*;

use self::world::World;

/// One thing that happens. Numbers are taken modulo what there is.
#[derive(Clone, Copy, Debug)]
enum Step {
    Join(u8),
    Leave(u8),
    Type(u8),
    Resend(u8),
    Point(u8),
    /// The member's connection takes nothing more.
    Stall(u8),
    /// It takes everything again.
    Drain(u8),
    /// It has no room for the next messages, each of which may be large.
    Squeeze(u8, u8),
    /// An author without a seat writes.
    Write,
    EndTurn,
    /// Time passes, and a turn ends.
    Wait(u16),
    /// The log has settled its oldest append.
    Written,
    Refused,
    /// Another instance writes a row.
    Foreign,
    /// The snapshot under way is settled.
    SnapshotPut,
    SnapshotFailed,
    StorageAway,
    StorageBack,
    /// Something happens that concerns the members.
    Happen,
    /// The journal takes nothing for the next update.
    JournalFull,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..4_u8;
    prop_oneof![
        4 => who.clone().prop_map(Step::Join),
        2 => who.clone().prop_map(Step::Leave),
        16 => who.clone().prop_map(Step::Type),
        3 => who.clone().prop_map(Step::Resend),
        4 => who.clone().prop_map(Step::Point),
        3 => who.clone().prop_map(Step::Stall),
        3 => who.clone().prop_map(Step::Drain),
        3 => (who, 1..3_u8).prop_map(|(who, messages)| Step::Squeeze(who, messages)),
        2 => Just(Step::Write),
        8 => Just(Step::EndTurn),
        8 => (0..40_u16).prop_map(Step::Wait),
        1 => (40..12_000_u16).prop_map(Step::Wait),
        12 => Just(Step::Written),
        1 => Just(Step::Refused),
        1 => Just(Step::Foreign),
        2 => Just(Step::SnapshotPut),
        1 => Just(Step::SnapshotFailed),
        1 => Just(Step::StorageAway),
        2 => Just(Step::StorageBack),
        3 => Just(Step::Happen),
        1 => Just(Step::JournalFull),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        max_shrink_time: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_a_room_keeps_its_promises(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.settle();
    }
}
