//! Messages as updates, applied to an empty and to a populated document.
#![no_main]

use document::{ApplyError, Document, PendingLimits, StateVector, merge, validate};
use libfuzzer_sys::fuzz_target;
use realtime_server_fuzz::{allow_caught_panics, messages};

const LIMITS: PendingLimits = PendingLimits {
    updates_max: 20,
    bytes_max: 4096,
};

/// Text, formatting, a map with a nested array, and XML, of clients 1 and 2.
const POPULATED: &[u8] = include_bytes!("populated.bin");

fuzz_target!(init: allow_caught_panics(), |input: &[u8]| {
    let updates = messages(input);
    let mut documents = vec![Document::new(LIMITS), Document::new(LIMITS)];
    let checked = validate(POPULATED).expect("a sound seed");
    documents[1].restore(POPULATED, &checked).expect("a sound seed");
    for document in &mut documents {
        for update in &updates {
            send(document, update);
        }
        for update in updates.iter().rev() {
            send(document, update);
        }
    }
});

fn send(document: &mut Document, update: &[u8]) {
    let Ok(from) = StateVector::decode(&document.state_vector()) else {
        panic!("a state vector")
    };
    if let Ok(vector) = StateVector::decode(update) {
        drop(document.diff(&vector));
    }
    let Ok(checked) = validate(update) else {
        return;
    };
    assert!(merge(&[update]).is_ok(), "a valid update can be merged");
    let before = document.encode();
    let clocks = document.state_vector();
    let prepared = document.prepare(update, &checked, |_| u32::MAX);
    match prepared.and_then(|prepared| document.apply(update, prepared)) {
        Err(ApplyError::Panicked) => return,
        Err(_) => {
            assert_eq!(
                document.state_vector(),
                clocks,
                "a refused update changes nothing"
            );
            let after = document.encode();
            assert_eq!(
                after.map(|after| after.len()),
                before.map(|before| before.len())
            );
        }
        Ok(_) => reload(document, &from),
    }
}

/// The document can be saved, sent and opened again.
fn reload(document: &Document, from: &StateVector) {
    let diff = document
        .diff(from)
        .expect("a document that applied can be encoded");
    validate(&diff).expect("a diff is valid");
    let saved = document
        .encode()
        .expect("a document that applied can be encoded");
    let checked = validate(&saved).expect("a saved document is valid");
    let mut reopened = Document::new(LIMITS);
    match reopened.restore(&saved, &checked) {
        Err(ApplyError::Panicked) => {}
        outcome => {
            outcome.expect("a saved document can be opened");
            assert_eq!(sorted(&reopened), sorted(document), "and is the same");
            assert_eq!(reopened.has_pending(), document.has_pending());
        }
    }
}

fn sorted(document: &Document) -> StateVector {
    StateVector::decode(&document.state_vector()).expect("a state vector")
}
