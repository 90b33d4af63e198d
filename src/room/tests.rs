//! A room's core under random schedules, compared with a plain model.
//!
//! Everything around the core is simulated: clients with their replicas, a log that refuses rows
//! and to which other instances write, queues that are full, and the time. So ten thousand
//! schedules run in about a minute, and one that fails is shrunk to the few steps that matter.

mod client;
mod log;
mod people;
mod rewind;
mod world;

use proptest::prelude::*;

use self::world::World;

/// One step of a schedule. A `u8` names a person, if nothing else is said.
#[derive(Clone, Copy, Debug)]
enum Step {
    Join(u8),
    Leave(u8),
    Type(u8),
    Resend(u8),
    Point(u8),
    /// The queue of the member's connection is full from now on.
    Stall(u8),
    /// The queue has drained.
    Drain(u8),
    /// The queue is full for the next messages only, since each may be large: whose, and how many.
    Squeeze(u8, u8),
    /// An author without a seat sends an update.
    Write,
    EndTurn,
    /// This many milliseconds pass, and a turn ends.
    Wait(u16),
    /// The log has written its oldest append.
    Written,
    /// The log has refused its oldest append.
    Refused,
    /// Another instance writes a row.
    Foreign,
    /// The newest position of the log is seen.
    HeadSeen,
    /// The database loses this many rows of the log.
    Lost(u8),
    /// The snapshot has been written.
    SnapshotPut,
    SnapshotFailed,
    StorageAway,
    StorageBack,
    /// Something happens that concerns the members.
    Happen,
    /// The journal is full for the next update.
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
        1 => Just(Step::HeadSeen),
        1 => (0..4_u8).prop_map(Step::Lost),
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
    fn any_schedule_keeps_a_rooms_guarantees(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
        }
        world.settle();
    }
}

/// A schedule that random ones hardly ever contain: the queue is full again for the difference
/// that makes up for several missed relays.
#[test]
fn a_member_that_misses_its_difference_is_sent_all_of_it_again() {
    const WRITER: u8 = 0;
    const CANNOT_ASK: u8 = client::CANNOT_ASK;
    let mut world = World::new();
    let missed = [Step::Type(WRITER), Step::Wait(100)].repeat(3);
    let steps = [Step::Join(WRITER), Step::Join(CANNOT_ASK), Step::Wait(100)]
        .into_iter()
        .chain([Step::Stall(CANNOT_ASK)])
        .chain(missed)
        .chain([Step::Drain(CANNOT_ASK), Step::Squeeze(CANNOT_ASK, 2)])
        .chain([Step::Wait(100)]);
    for step in steps {
        world.take(step);
    }
    world.settle();
}

/// The update was accepted before the log refused the row on which it depends. A member that joins
/// after that does not get the row.
#[test]
fn an_update_that_depends_on_a_refused_row_is_not_relayed() {
    const WRITER: u8 = 0;
    const NEWCOMER: u8 = 1;
    let mut world = World::new();
    for step in [
        Step::Join(WRITER),
        Step::Type(WRITER),
        Step::Wait(100),
        Step::Type(WRITER),
        Step::Refused,
        Step::Join(NEWCOMER),
        Step::EndTurn,
    ] {
        world.take(step);
    }
    world.settle();
}

/// The update is sent again while another one is accepted, and then the log refuses the row that holds it. Its sender hears nothing
/// meanwhile, and so does not send it once more.
#[test]
fn an_update_that_was_sent_again_is_not_acknowledged_by_the_row_of_another_one() {
    const WRITER: u8 = 3;
    const OTHER: u8 = 0;
    let mut world = World::new();
    for step in [
        Step::Join(WRITER),
        Step::Join(OTHER),
        Step::Squeeze(WRITER, 1),
        Step::Type(OTHER),
        Step::EndTurn,
        Step::Written,
        Step::EndTurn,
        Step::Type(WRITER),
        Step::EndTurn,
        Step::Type(OTHER),
        Step::Resend(WRITER),
        Step::Stall(WRITER),
        Step::Refused,
    ] {
        world.take(step);
    }
    world.settle();
}
