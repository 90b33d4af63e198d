//! Returns to an earlier state of a document.

use proptest::prelude::*;
use yrs::{ArrayPrelim, Map, Text, WriteTxn};

use super::super::StateVector;
use super::super::edit::EditError;
use super::convergence::histories;
use super::edits::{SERVER, reader, shown};
use super::{Client, Outcome, apply, document, view};

#[test]
fn a_malformed_state_and_a_state_of_another_document_are_refused() {
    let (mut document, ana) = (document(), Client::new(1));
    apply(&mut document, &ana.write(0, "hello")).expect("applies");
    let other = Client::new(2).write(0, "x");
    assert_eq!(
        document.replace_with(SERVER, &other),
        Err(EditError::NotEarlier)
    );
    let later = ana.write(5, " world");
    apply(&mut document, &other).expect("applies");
    // By itself it has no content: its dependencies are not in it.
    assert_eq!(
        document.replace_with(SERVER, &later).map(|made| made.len()),
        Ok(10)
    );
    let malformed = document.replace_with(SERVER, &[1]);
    assert!(matches!(malformed, Err(EditError::MalformedState(_))));
}

#[test]
fn elements_in_common_with_an_earlier_state_stay() {
    let (mut document, ana) = (document(), Client::new(1));
    apply(&mut document, &ana.write(0, "one three")).expect("applies");
    let made = ana.edit(|txn| {
        let map = txn.get_or_insert_map("map");
        map.insert(txn, "list", ArrayPrelim::from([1, 2]));
        map.insert(txn, "n", 1);
    });
    apply(&mut document, &made).expect("applies");
    let saved = document.encode().expect("sound");
    let deleted = ana.edit(|txn| txn.get_or_insert_text("text").remove_range(txn, 4, 3));
    apply(&mut document, &deleted).expect("applies");
    apply(&mut document, &ana.write(4, "two ")).expect("applies");
    let update = document.replace_with(SERVER, &saved).expect("can be made");
    assert_eq!(apply(&mut document, &update), Ok(Outcome::New));
    assert_eq!(view(&document).0, "one three||[]|{\"list\":[1,2],\"n\":1}");
    assert_eq!(
        document.clock(SERVER),
        3,
        "only the deleted characters are new"
    );
}

#[test]
fn a_half_deleted_character_returns_as_a_whole() {
    let (mut document, ana) = (document(), Client::new(1));
    apply(&mut document, &ana.write(0, "a😀b")).expect("applies");
    let saved = document.encode().expect("sound");
    // Deletes the first unit of the two, as a careless program does.
    assert_eq!(apply(&mut document, &[0, 1, 1, 1, 1, 1]), Ok(Outcome::New));
    assert_eq!(view(&document).0, "a\u{fffd}b||[]|{}");
    let update = document.replace_with(SERVER, &saved).expect("can be made");
    assert_eq!(apply(&mut document, &update), Ok(Outcome::New));
    assert_eq!(view(&document).0, "a😀b||[]|{}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_earlier_state_returns_whatever_was_edited_since(
        (clients, updates) in histories(),
        saved_after in any::<prop::sample::Index>(),
        made_after in any::<prop::sample::Index>(),
    ) {
        let saved_after = saved_after.index(updates.len() + 1);
        let made_after = saved_after + made_after.index(updates.len() + 1 - saved_after);
        let mut document = document();
        for update in &updates[..saved_after] {
            apply(&mut document, update).expect("applies");
        }
        let saved = document.encode().expect("sound");
        let expected = shown(&reader(&document));
        for update in &updates[saved_after..made_after] {
            apply(&mut document, update).expect("applies");
        }
        let update = document.replace_with(SERVER, &saved).expect("can be made");
        let mut restored = super::document();
        apply(&mut restored, &document.encode().expect("sound")).expect("applies");
        apply(&mut restored, &update).expect("applies");
        prop_assert_eq!(shown(&reader(&restored)), expected);
        // Clients that edit meanwhile, and receive it late, have the same in the end.
        for late in &updates[made_after..] {
            apply(&mut document, late).expect("applies");
        }
        apply(&mut document, &update).expect("applies");
        for client in clients {
            client.receive(&document.diff(&StateVector::default()).expect("sound"));
            client.receive(&update);
            prop_assert_eq!(client.view(), view(&document));
        }
    }
}
