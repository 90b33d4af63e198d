//! Replicas converge, whatever happens to the updates on their way.

use proptest::prelude::*;
use yrs::{Array, ArrayPrelim, Map, MapPrelim, Out, ReadTxn, Text, Transact, Update, WriteTxn};
use yrs::{XmlElementPrelim, XmlFragment};

use super::super::{Document, StateVector, merge, validate};
use super::{Client, LIMITS, Outcome, apply, document, view};

/// One random edit of client `by`, or a synchronisation.
fn edit(clients: &[Client], (by, kind, at, size): (usize, u8, u32, u32)) -> Option<Vec<u8>> {
    let client = &clients[by];
    let update = match kind {
        0 | 1 => client.edit(|txn| {
            let text = txn.get_or_insert_text("text");
            let at = at % (text.len(txn) + 1);
            text.insert(txn, at, &"aé日b"[..[1, 3, 6, 7][size as usize % 4]]);
        }),
        2 => client.edit(|txn| {
            let text = txn.get_or_insert_text("text");
            let (at, len) = (at % (text.len(txn) + 1), text.len(txn));
            text.remove_range(txn, at, size.min(len - at));
        }),
        3 => client.edit(|txn| {
            let array = txn.get_or_insert_array("array");
            let at = at % (array.len(txn) + 1);
            array.insert(txn, at, MapPrelim::from([("k", size)]));
        }),
        4 => client.edit(|txn| {
            let array = txn.get_or_insert_array("array");
            let (at, len) = (at % (array.len(txn) + 1), array.len(txn));
            array.remove_range(txn, at, size.min(len - at).min(1));
        }),
        5 => client.edit(|txn| {
            let map = txn.get_or_insert_map("map");
            map.insert(txn, format!("k{}", at % 3), ArrayPrelim::from([size]));
        }),
        6 => client.edit(|txn| {
            let map = txn.get_or_insert_map("map");
            if let Some(Out::YArray(array)) = map.get(txn, &format!("k{}", at % 3)) {
                array.push_back(txn, size);
            }
        }),
        7 => client.edit(|txn| {
            let xml = txn.get_or_insert_xml_fragment("xml");
            let at = at % (xml.len(txn) + 1);
            xml.insert(txn, at, XmlElementPrelim::empty("p"));
        }),
        _ => {
            let from = &clients[at as usize % clients.len()];
            let state = from
                .0
                .transact()
                .encode_diff_v1(&client.0.transact().state_vector());
            client.receive(&state);
            return None;
        }
    };
    (update != Update::EMPTY_V1).then_some(update)
}

pub(super) fn histories() -> impl Strategy<Value = (Vec<Client>, Vec<Vec<u8>>)> {
    let step = (0..3usize, 0..10u8, 0..50u32, 0..5u32);
    prop::collection::vec(step, 1..60).prop_map(|steps| {
        let clients: Vec<_> = [3, 1 << 40, 2].into_iter().map(Client::new).collect();
        let updates = steps
            .into_iter()
            .filter_map(|step| edit(&clients, step))
            .collect();
        (clients, updates)
    })
}

fn in_order(updates: &[Vec<u8>]) -> Document {
    let mut document = document();
    for update in updates {
        assert_ne!(apply(&mut document, update), Ok(Outcome::Pending));
    }
    assert!(!document.has_pending());
    document
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replicas_converge_whatever_the_order_and_however_often(
        (_, updates) in histories(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..200),
    ) {
        let expected = in_order(&updates);
        let mut document = document();
        if !updates.is_empty() {
            for index in order {
                apply(&mut document, &updates[index.index(updates.len())]).expect("applies");
                // Whatever is pending, the document can be saved and sent.
                let saved = document.encode().expect("sound");
                validate(&saved).expect("valid");
            }
        }
        for update in updates.iter().rev() {
            apply(&mut document, update).expect("applies");
        }
        prop_assert!(!document.has_pending());
        prop_assert_eq!(document.state_vector(), expected.state_vector());
        prop_assert_eq!(view(&document), view(&expected));
        for update in &updates {
            prop_assert_eq!(apply(&mut document, update), Ok(Outcome::Nothing));
        }
    }

    #[test]
    fn merged_groups_have_the_effect_of_their_updates(
        (_, updates) in histories(),
        size in 1..64usize,
        shuffled in any::<prop::sample::Index>(),
    ) {
        let expected = in_order(&updates);
        let groups: Vec<_> = updates.chunks(size).map(|group| merge(group).expect("updates")).collect();
        let mut document = document();
        for group in &groups {
            prop_assert_ne!(apply(&mut document, group), Ok(Outcome::Pending));
        }
        prop_assert_eq!(view(&document), view(&expected));
        // Out of order, and all at once.
        let mut turned = groups.clone();
        turned.rotate_left(shuffled.index(groups.len().max(1)).min(groups.len()));
        let all = merge(&turned).expect("updates");
        let mut document = Document::new(LIMITS);
        prop_assert_ne!(apply(&mut document, &all), Ok(Outcome::Pending));
        prop_assert_eq!(view(&document), view(&expected));
    }

    #[test]
    fn a_replica_follows_by_diffs((clients, updates) in histories(), at in any::<prop::sample::Index>()) {
        let whole = in_order(&updates);
        let part = in_order(&updates[..at.index(updates.len() + 1)]);
        let from = StateVector::decode(&part.state_vector()).expect("a state vector");
        let mut follower = part;
        apply(&mut follower, &whole.diff(&from).expect("sound")).expect("applies");
        prop_assert_eq!(view(&follower), view(&whole));
        drop(clients);
    }
}
