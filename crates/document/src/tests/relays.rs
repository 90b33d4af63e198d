//! The replica, the log and a client that got only the relays are the same after every step.

use proptest::prelude::*;
use proptest::sample::Index;
use yrs::{Array, WriteTxn};

use super::super::lib0::{write_var, write_var_string};
use super::super::merge;
use super::Outcome;
use super::convergence::histories;
use super::cuts::Recorded;
use crate::ClientId;

/// One step of a sender.
#[derive(Clone, Debug)]
enum Step {
    /// The next update of the history.
    Next,
    /// Any of them: early, or once more.
    Any(Index),
    /// Several of them as one, with holes.
    Some(Vec<Index>),
    /// Elements of a client of the history with other content, from so many clocks back on,
    /// beside an element of the forger's own.
    Forged(usize, u32, String),
    /// Deletions of elements that a client of the history wrote or will write.
    Deleted(usize, u32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let any_index = any::<Index>;
    let step = prop_oneof![
        4 => Just(Step::Next),
        1 => any_index().prop_map(Step::Any),
        1 => prop::collection::vec(any_index(), 1..4).prop_map(Step::Some),
        2 => (0..3usize, 0..6u32, "[xy😀]{1,6}").prop_map(|(by, back, text)| Step::Forged(by, back, text)),
        1 => (0..3usize, 0..20u32, 1..6u32).prop_map(|(by, from, len)| Step::Deleted(by, from, len)),
    ];
    prop::collection::vec(step, 1..50)
}

/// The clients of a history, as [`histories`] has them.
const CLIENTS: [ClientId; 3] = [3, 1 << 40, 2];

/// A client that writes under the ids of others.
const FORGER: ClientId = 1 << 45;

/// An update of `text` in the root "text" by each of these clients, from these clocks on.
fn typed(parts: &[(ClientId, u32, &str)]) -> Vec<u8> {
    let mut out = vec![parts.len() as u8];
    for (client, clock, text) in parts {
        out.push(1);
        write_var(&mut out, *client);
        write_var(&mut out, (*clock).into());
        out.extend_from_slice(&[4, 1]);
        write_var_string(&mut out, "text");
        write_var_string(&mut out, text);
    }
    out.push(0);
    out
}

fn deletion(client: ClientId, from: u32, len: u32) -> Vec<u8> {
    let mut out = vec![0, 1];
    for number in [client, 1, from.into(), len.into()] {
        write_var(&mut out, number);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_replica_the_log_and_the_relays_agree_after_every_step(
        (_, updates) in histories(),
        steps in steps(),
    ) {
        let mut room = Recorded::new();
        let mut coming = updates.iter();
        let sent = |index: &Index| &updates[index.index(updates.len())];
        for step in steps {
            let clock = |client| room.document.clock(client);
            let update = match step {
                Step::Next => coming.next().cloned(),
                Step::Any(_) | Step::Some(_) if updates.is_empty() => None,
                Step::Any(index) => Some(sent(&index).clone()),
                Step::Some(indices) => {
                    let some: Vec<_> = indices.iter().map(sent).collect();
                    merge(&some).ok()
                }
                Step::Forged(by, back, text) => {
                    let client = CLIENTS[by];
                    let from = clock(client).saturating_sub(back);
                    Some(typed(&[(FORGER, clock(FORGER), "!"), (client, from, &text)]))
                }
                Step::Deleted(by, from, len) => Some(deletion(CLIENTS[by], from, len)),
            };
            // It compares after every update that is not refused.
            let _ = update.map(|update| room.send(&update));
        }
        for update in coming.chain(&updates) {
            let _ = room.send(update);
        }
    }
}

#[test]
fn a_forged_character_of_two_units_in_an_array_can_be_compared() {
    let (mut room, ana) = (Recorded::new(), super::Client::new(3));
    for update in [
        ana.edit(|txn| {
            txn.get_or_insert_array("array").insert(txn, 0, 1);
        }),
        ana.edit(|txn| txn.get_or_insert_array("array").remove(txn, 0)),
    ] {
        room.send(&update).expect("applies");
    }
    // The deleted element says nothing of its content any more, so what follows it is taken as written after it.
    let sent = room.send(&typed(&[(FORGER, 0, "!"), (3, 0, "x😀")]));
    assert_eq!(sent, Ok(Outcome::New));
    assert_eq!(super::view(&room.document).0, "!||[2,\"😀\"]|{}");
}
