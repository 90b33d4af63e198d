//! The parts of an update have the effect of the whole.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use yrs::{
    Array, Map, MapPrelim, ReadTxn, Text, Transact, WriteTxn, XmlElementPrelim, XmlFragment,
};

use super::super::{Document, split, validate};
use super::{Client, Outcome, apply, document, view};

const WORDS: [&str; 5] = ["a", "é日", "😀😀", "words and words", "b"];

/// One random edit of client `by`, or a synchronisation with another.
fn edit(clients: &[Client], (by, kind, at, size): (usize, u8, u32, u32)) {
    let client = &clients[by];
    client.edit(|txn| match kind {
        0..=2 => {
            let text = txn.get_or_insert_text("text");
            let at = at % (text.len(txn) + 1);
            text.insert(txn, at, &WORDS[size as usize % 5].repeat(size as usize + 1));
        }
        3 => {
            let text = txn.get_or_insert_text("text");
            let (at, len) = (at % (text.len(txn) + 1), text.len(txn));
            text.remove_range(txn, at, size.min(len - at));
        }
        4 => {
            let array = txn.get_or_insert_array("array");
            let at = at % (array.len(txn) + 1);
            array.insert_range(txn, at, (0..size * 4).map(|n| format!("value {n}")));
        }
        5 => {
            let map = txn.get_or_insert_map("map");
            map.insert(txn, format!("k{}", at % 3), MapPrelim::from([("k", size)]));
        }
        6 => {
            let xml = txn.get_or_insert_xml_fragment("xml");
            let at = at % (xml.len(txn) + 1);
            xml.insert(txn, at, XmlElementPrelim::empty("p"));
        }
        _ => {}
    });
    if kind > 6 {
        let from = &clients[at as usize % clients.len()];
        let vector = client.0.transact().state_vector();
        let state = from.0.transact().encode_diff_v1(&vector);
        client.receive(&state);
    }
}

/// An earlier state of one of three clients, and an update of all that it lacked in the end.
fn states() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let step = (0..3usize, 0..10u8, 0..200u32, 0..9u32);
    (
        prop::collection::vec(step, 1..80),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(steps, cut)| {
            let clients: Vec<_> = [3, 1 << 40, 2].into_iter().map(Client::new).collect();
            let (early, late) = steps.split_at(cut.index(steps.len()));
            early.iter().for_each(|step| edit(&clients, *step));
            let vector = clients[0].0.transact().state_vector();
            let base = clients[0].0.transact().encode_diff_v1(&Default::default());
            late.iter().for_each(|step| edit(&clients, *step));
            let all = Client::new(9);
            for client in &clients {
                all.receive(&client.0.transact().encode_diff_v1(&Default::default()));
            }
            (base, all.0.transact().encode_diff_v1(&vector))
        })
}

/// Whether each of two documents has every element and every deletion of the other one. Their bytes may differ: a block that yrs
/// divides where another one was inserted is whole again only if that happens in the transaction in which the block came.
fn have_the_same(one: &mut Document, other: &mut Document) -> bool {
    let states = [&*one, &*other].map(|document| document.encode().expect("sound"));
    apply(one, &states[1]) == Ok(Outcome::Nothing)
        && apply(other, &states[0]) == Ok(Outcome::Nothing)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_have_the_effect_of_the_whole((base, update) in states(), bytes_max in 64..600usize) {
        let (mut whole, mut cut) = (document(), document());
        for document in [&mut whole, &mut cut] {
            apply(document, &base).expect("applies");
        }
        apply(&mut whole, &update).expect("applies");
        let parts = split(&update, bytes_max).expect("an update");
        prop_assert!(update.len() <= bytes_max + 64 || parts.len() > 1);
        for part in &parts {
            prop_assert!(part.len() <= bytes_max + 64, "{} bytes", part.len());
            prop_assert!(validate(part).is_ok());
            prop_assert_ne!(apply(&mut cut, part), Ok(Outcome::Pending));
        }
        prop_assert!(!cut.has_pending());
        prop_assert_eq!(view(&cut), view(&whole));
        prop_assert!(have_the_same(&mut cut, &mut whole));
    }

    #[test]
    fn the_parts_of_a_pending_update_lose_nothing((_, update) in states()) {
        // Without its base.
        let (mut whole, mut cut) = (document(), document());
        apply(&mut whole, &update).expect("applies");
        for part in split(&update, 100).expect("an update") {
            apply(&mut cut, &part).expect("applies");
        }
        prop_assert_eq!(cut.state_vector(), whole.state_vector());
        prop_assert_eq!(view(&cut), view(&whole));
        prop_assert_eq!(cut.has_pending(), whole.has_pending());
    }
}

#[test]
fn a_small_update_stays_whole_and_a_malformed_one_gives_none() {
    let update = Client::new(1).write(0, "hello");
    assert_eq!(split(&update, 1000), Some(vec![update.clone()]));
    assert_eq!(split(&[1, 2, 3], 1000), None);
    assert_eq!(split(&update[..update.len() - 1], 1000), None);
}

#[test]
fn a_surrogate_pair_is_never_split() {
    let text = "😀".repeat(1000);
    let update = Client::new(1).write(0, &text);
    let parts = split(&update, 101).expect("an update");
    assert!(parts.len() > 30);
    let mut document = document();
    for part in &parts {
        assert_eq!(apply(&mut document, part), Ok(Outcome::New));
    }
    assert_eq!(view(&document).0, format!("{text}||[]|{{}}"));
}

#[test]
fn parts_that_divide_a_block_where_another_one_begins_have_the_effect_of_the_whole() {
    let (ana, ben) = (Client::new(2), Client::new(1 << 40));
    ben.receive(&ana.write(0, "a😀"));
    ana.write(3, &"😀".repeat(20));
    // Beside the pair, whose halves yrs replaces.
    ben.write(1, &"é日".repeat(20));
    ana.receive(&ben.0.transact().encode_diff_v1(&Default::default()));
    let update = ana.0.transact().encode_diff_v1(&Default::default());
    let (mut whole, mut cut) = (document(), document());
    apply(&mut whole, &update).expect("applies");
    let parts = split(&update, 64).expect("an update");
    assert!(parts.len() > 2);
    for part in &parts {
        apply(&mut cut, part).expect("applies");
    }
    assert_eq!(view(&cut), view(&whole));
    assert!(have_the_same(&mut cut, &mut whole));
}

#[test]
fn circular_dependencies_come_to_an_end() {
    // 1 stands beside what 2 makes, and 2 beside what 1 makes.
    let circle: Vec<u8> = [
        &[2, 1, 2, 0, 0x84, 1, 0, 100][..],
        &[b'x'; 100],
        &[1, 1, 0, 0x84, 2, 0, 100],
        &[b'y'; 100],
        &[0],
    ]
    .concat();
    assert!(validate(&circle).is_ok());
    let parts = split(&circle, 64).expect("an update");
    assert_eq!(parts.len(), 4);
    assert!(parts.iter().all(|part| validate(part).is_ok()));
}

#[test]
fn a_large_update_is_split_in_linear_time() {
    // Much of one text, and many small blocks of two people who answer one another.
    let (ana, ben) = (Client::new(1), Client::new(2));
    ana.write(0, &"words ".repeat(2_000_000));
    for nth in 0..2000 {
        let (one, other) = if nth % 2 == 0 {
            (&ana, &ben)
        } else {
            (&ben, &ana)
        };
        other.receive(&one.write(nth % 7, "x"));
    }
    let update = ana.0.transact().encode_diff_v1(&Default::default());
    let took = |bytes_max: usize| {
        let began = Instant::now();
        assert!(split(&update, bytes_max).is_some_and(|parts| parts.len() > 4));
        began.elapsed()
    };
    let (few, many) = (took(2 << 20), took(20 << 10));
    assert!(
        many < few * 4 + Duration::from_millis(200),
        "{few:?} {many:?}"
    );
}
