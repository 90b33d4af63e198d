//! Updates of stock Yjs are integrated completely, in any order, and encoded again.

use document::{Applied, Document, PendingLimits, StateVector, Visibility, validate};
use serde::Deserialize;
use yrs::{ReadTxn, Transact, Update, updates::decoder::Decode};

/// A recording of `fixtures/yjs.json`, its bytes in hex.
#[derive(Deserialize)]
struct Recording {
    name: String,
    updates: Vec<String>,
    states: Vec<String>,
    state: String,
    sv: String,
}

fn recordings() -> Vec<Recording> {
    let recordings = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/yjs.json"
    ));
    serde_json::from_str(recordings).expect("the recordings")
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn document() -> Document {
    Document::new(PendingLimits {
        updates_max: 1000,
        bytes_max: 1 << 20,
    })
}

fn apply(document: &mut Document, update: &[u8], of: &str) -> Applied {
    let checked = validate(update).unwrap_or_else(|error| panic!("{of} is refused: {error}"));
    let prepared = document.prepare(update, &checked, |_| u32::MAX);
    let applied = prepared.and_then(|prepared| document.apply(update, prepared));
    applied.unwrap_or_else(|error| panic!("{of} is refused: {error}"))
}

/// The elements and the deletions of a replica with the state `update`.
fn contents(update: &[u8]) -> yrs::Snapshot {
    let doc = yrs::Doc::new();
    let mut txn = doc.transact_mut();
    let update = Update::decode_v1(update).expect("an update");
    txn.apply_update(update).expect("applies");
    txn.snapshot()
}

#[test]
fn updates_are_integrated_in_order() {
    for recording in recordings() {
        let (mut document, name) = (document(), &recording.name);
        for update in &recording.updates {
            let applied = apply(&mut document, &bytes(update), name);
            assert_eq!(applied.visibility, Visibility::Visible, "{name}");
        }
        holds(&document, &recording);
    }
}

#[test]
fn updates_are_integrated_backwards_and_twice() {
    for recording in recordings() {
        let (mut document, name) = (document(), &recording.name);
        for update in recording.updates.iter().rev() {
            apply(&mut document, &bytes(update), name);
        }
        assert!(!document.has_pending(), "{name}");
        for update in &recording.updates {
            let applied = apply(&mut document, &bytes(update), name);
            assert_eq!(applied, Applied::default(), "{name}");
        }
        holds(&document, &recording);
    }
}

#[test]
fn states_are_integrated() {
    for recording in recordings() {
        let (mut document, name) = (document(), &recording.name);
        for state in recording.states.iter().chain([&recording.state]) {
            apply(&mut document, &bytes(state), name);
        }
        holds(&document, &recording);
    }
}

fn holds(document: &Document, recording: &Recording) {
    let name = &recording.name;
    let sorted = |bytes: &[u8]| {
        let vector = StateVector::decode(bytes).expect("a state vector");
        let mut clocks: Vec<_> = vector.iter().collect();
        clocks.sort_unstable();
        clocks
    };
    let clocks = sorted(&document.state_vector());
    assert_eq!(clocks, sorted(&bytes(&recording.sv)), "{name}");
    let saved = document.encode().expect("sound");
    assert_eq!(
        contents(&saved),
        contents(&bytes(&recording.state)),
        "{name}"
    );
}
