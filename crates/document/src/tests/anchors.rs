//! When the text of an anchor is gone.

use std::time::Duration;

use proptest::prelude::*;
use yrs::updates::encoder::Encode;
use yrs::{Assoc, IndexedSequence, StickyIndex, Text, WriteTxn, XmlFragment, XmlTextPrelim};

use super::*;

const PLENTY: Duration = Duration::from_secs(10);

/// The relative position of an index in the text, as a client encodes it.
fn position(client: &Client, index: u32, assoc: Assoc) -> RelativePosition {
    let mut txn = client.0.transact_mut();
    let text = txn.get_or_insert_text("text");
    let sticky = text.sticky_index(&txn, index, assoc);
    let sticky = sticky.unwrap_or_else(|| StickyIndex::from_type(&txn, &text, assoc));
    RelativePosition::decode(&sticky.encode_v1()).expect("is decoded")
}

fn anchor(client: &Client, from: u32, to: u32) -> Anchor {
    Anchor {
        start: position(client, from, Assoc::After),
        end: position(client, to, Assoc::After),
    }
}

fn is_gone(document: &Document, anchor: &Anchor) -> bool {
    document.are_gone(std::slice::from_ref(anchor), PLENTY)[0]
}

fn remove(client: &Client, at: u32, len: u32) -> Vec<u8> {
    client.edit(|txn| {
        txn.get_or_insert_text("text").remove_range(txn, at, len);
    })
}

#[test]
fn an_anchor_is_gone_once_nothing_of_its_text_is_left() {
    let (client, mut document) = (Client::new(1), document());
    apply(&mut document, &client.write(0, "one 🦀 two")).expect("applied");
    let word = anchor(&client, 4, 6);
    let all = anchor(&client, 0, 10);
    assert!(!is_gone(&document, &word));
    apply(&mut document, &client.write(0, "before ")).expect("applied");
    apply(&mut document, &client.write(11, "x")).expect("applied");
    assert!(!is_gone(&document, &word));
    apply(&mut document, &remove(&client, 12, 2)).expect("applied");
    assert!(
        is_gone(&document, &word),
        "what was typed before it is not its text"
    );
    assert!(!is_gone(&document, &all));
    let rest = remove(&client, 0, 16);
    apply(&mut document, &rest).expect("applied");
    assert!(is_gone(&document, &all));
    // Text typed later where it was is another text, but lies between the positions.
    apply(&mut document, &client.write(0, "new")).expect("applied");
    assert!(is_gone(&document, &word));
}

#[test]
fn an_anchor_of_elements_that_are_not_there_yet_is_not_gone() {
    let (client, mut document) = (Client::new(1), document());
    let written = client.write(0, "text");
    let of_text = anchor(&client, 0, 3);
    assert!(!is_gone(&document, &of_text));
    let removed = remove(&client, 0, 4);
    assert_eq!(apply(&mut document, &removed), Ok(Outcome::Pending));
    assert!(!is_gone(&document, &of_text), "its deletion is pending");
    apply(&mut document, &written).expect("applied");
    assert!(is_gone(&document, &of_text));
}

#[test]
fn an_anchor_in_a_deleted_type_is_gone_and_one_that_reaches_beyond_it_is_not() {
    let (client, mut document) = (Client::new(1), document());
    let mut encoded = Vec::new();
    let made = client.edit(|txn| {
        let xml = txn.get_or_insert_xml_fragment("xml");
        for index in 0..2 {
            let text = xml.insert(txn, index, XmlTextPrelim::new("paragraph"));
            for (at, assoc) in [(0, Assoc::After), (9, Assoc::After), (9, Assoc::Before)] {
                let sticky = text.sticky_index(txn, at, assoc);
                let sticky = sticky.unwrap_or_else(|| StickyIndex::from_type(txn, &text, assoc));
                encoded.push(sticky.encode_v1());
            }
        }
    });
    apply(&mut document, &made).expect("applied");
    let decoded = encoded.iter().map(|bytes| RelativePosition::decode(bytes));
    let at: Vec<_> = decoded.collect::<Result<_, _>>().expect("positions");
    let between = |start: usize, end: usize| Anchor {
        start: at[start].clone(),
        end: at[end].clone(),
    };
    let pairs = [(0, 1), (0, 2), (3, 4), (0, 5), (0, 0)];
    let states =
        |document: &Document| pairs.map(|(from, to)| is_gone(document, &between(from, to)));
    assert_eq!(states(&document), [false; 5]);
    let first = client.edit(|txn| txn.get_or_insert_xml_fragment("xml").remove(txn, 0));
    apply(&mut document, &first).expect("applied");
    assert_eq!(states(&document), [true, true, false, false, true]);
    let second = client.edit(|txn| txn.get_or_insert_xml_fragment("xml").remove(txn, 0));
    apply(&mut document, &second).expect("applied");
    assert_eq!(states(&document), [true; 5]);
}

#[test]
fn the_question_ends_with_its_time_and_answers_at_least_one_anchor() {
    let (client, mut document) = (Client::new(1), document());
    apply(&mut document, &client.write(0, "text")).expect("applied");
    let anchors = vec![anchor(&client, 0, 4); 1000];
    assert_eq!(document.are_gone(&anchors, PLENTY).len(), 1000);
    let answered = document.are_gone(&anchors, Duration::ZERO).len();
    assert!((1..1000).contains(&answered), "{answered}");
    assert!(document.are_gone(&[], Duration::ZERO).is_empty());
}

#[test]
fn only_whole_relative_positions_are_decoded() {
    let bad: [&[u8]; 9] = [
        &[],
        &[3, 1, 1],
        &[0, 1],
        &[0, 1, 1, 0, 0],
        &[1, 5, b'a'],
        &[1, 1, 0xff],
        &[2, 1],
        &[0, 1, 1, 0x80],
        &[0, 1, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ];
    for bytes in bad {
        assert!(RelativePosition::decode(bytes).is_err(), "{bytes:?}");
    }
    let without_side = RelativePosition::decode(&[0, 1, 1]);
    assert_eq!(without_side, RelativePosition::decode(&[0, 1, 1, 0]));
    assert_ne!(without_side, RelativePosition::decode(&[0, 1, 1, 0x41]));
}

proptest! {
    #[test]
    fn random_bytes_are_refused_or_are_a_position_that_can_be_looked_for(
        kind in 0..4_u8,
        mut bytes in prop::collection::vec(prop_oneof![0..8_u8, any::<u8>()], 0..12),
    ) {
        let (client, mut document) = (Client::new(1), document());
        apply(&mut document, &client.write(0, "some text")).expect("applied");
        apply(&mut document, &remove(&client, 2, 3)).expect("applied");
        bytes.insert(0, kind);
        if let Ok(start) = RelativePosition::decode(&bytes) {
            let end = position(&client, 4, Assoc::After);
            let answer = document.are_gone(&[Anchor { start, end }], PLENTY);
            prop_assert_eq!(answer.len(), 1);
        }
    }
}
