//! Places of elements that are accepted, and that are refused.

use super::super::{ApplyError, Integrated, split};
use super::cuts::{Recorded, Typed, update};
use super::{Outcome, apply, apply_as, document, restore, view};

#[test]
fn neighbours_in_different_types_are_refused() {
    let mut recorded = Recorded::new();
    recorded
        .send(&update(&[Typed::new(7, 0, "one")]))
        .expect("applies");
    let other = Typed {
        root: "other",
        ..Typed::new(8, 0, "two")
    };
    recorded.send(&update(&[other])).expect("applies");
    let between = Typed {
        left: Some((7, 0)),
        right: Some((8, 1)),
        ..Typed::new(9, 0, "x")
    };
    assert_eq!(
        recorded.send(&update(&[between])),
        Err(ApplyError::DifferentParents)
    );
    assert_eq!(recorded.document.clock(9), 0);
}

#[test]
fn an_element_around_a_whole_item_has_a_place_and_one_around_a_part_of_it_has_none() {
    let around = |left, right| {
        let mut recorded = Recorded::new();
        recorded
            .send(&update(&[Typed::new(7, 0, "abc")]))
            .expect("applies");
        let reversed = Typed {
            left: Some((7, left)),
            right: Some((7, right)),
            ..Typed::new(8, 0, "x")
        };
        (recorded.send(&update(&[reversed])), recorded)
    };
    for (left, right) in [(2, 2), (2, 1), (1, 1)] {
        assert_eq!(around(left, right).0, Err(ApplyError::AmbiguousPlace));
    }
    // Whether "abc" is one item depends on whether the text behind it was there before.
    let mut recorded = Recorded::new();
    for typed in [
        Typed::new(7, 0, "ab"),
        Typed {
            left: Some((7, 1)),
            ..Typed::new(9, 0, "later")
        },
        Typed::new(7, 2, "c"),
    ] {
        recorded.send(&update(&[typed])).expect("applies");
    }
    let reversed = Typed {
        left: Some((7, 2)),
        right: Some((7, 1)),
        ..Typed::new(8, 0, "x")
    };
    let sent = recorded.send(&update(&[reversed]));
    assert_eq!(sent, Err(ApplyError::AmbiguousPlace));
    for left in [0, 2] {
        let (outcome, mut recorded) = around(left, 0);
        assert_eq!(outcome, Ok(Outcome::New));
        // It stands at the end, and others can write behind it.
        let behind = Typed {
            left: Some((8, 0)),
            ..Typed::new(9, 0, "y")
        };
        assert_eq!(recorded.send(&update(&[behind])), Ok(Outcome::New));
    }
}

#[test]
fn a_right_origin_that_descends_from_an_element_between_leaves_no_place() {
    let behind = |client, left| Typed {
        left: Some((left, 0)),
        ..Typed::new(client, 0, "x")
    };
    for (right, expected) in [(3, Err(ApplyError::AmbiguousPlace)), (2, Ok(Outcome::New))] {
        let mut recorded = Recorded::new();
        recorded
            .send(&update(&[Typed::new(1, 0, "x")]))
            .expect("applies");
        for client in [2, 3] {
            let next = update(&[behind(client, client - 1)]);
            recorded.send(&next).expect("applies");
        }
        let between = Typed {
            right: Some((right, 0)),
            ..behind(9, 1)
        };
        assert_eq!(
            recorded.send(&update(&[between])),
            expected,
            "before {right}"
        );
    }
}

#[test]
fn a_place_that_takes_too_long_to_judge_is_too_costly() {
    let mut document = document();
    let items: u64 = 60_000;
    for at in 0..items {
        let (mine, other) = (1 + at % 2, 2 - at % 2);
        let next = Typed {
            left: at.checked_sub(1).map(|before| (other, before / 2)),
            ..Typed::new(mine, at / 2, "x")
        };
        apply(&mut document, &update(&[next])).expect("applies");
    }
    let over_all = Typed {
        left: Some((1, 0)),
        right: Some((2, items / 2 - 1)),
        ..Typed::new(9, 0, "x")
    };
    let outcome = apply(&mut document, &update(&[over_all])).map(|_| ());
    assert_eq!(outcome, Err(ApplyError::TooCostly));
}

#[test]
fn several_elements_under_one_key_are_refused_unless_they_are_deleted() {
    // A map (1, 0) under the key k of the root m; "ab" under its key x.
    let base = [1, 1, 1, 0, 39, 1, 1, 109, 1, 107, 1, 0];
    let several =
        |deletes: &[u8]| [&[1, 1, 1, 1, 36, 0, 1, 0, 1, 120, 2, 97, 98], deletes].concat();
    let mut recorded = Recorded::new();
    assert_eq!(recorded.send(&base), Ok(Outcome::New));
    assert_eq!(
        recorded.send(&several(&[0])),
        Err(ApplyError::DifferentParents)
    );
    assert_eq!(
        recorded.send(&several(&[1, 1, 1, 1, 2])),
        Ok(Outcome::New),
        "as a client without garbage collection sends replaced values"
    );
}

/// A value of client 1 under the key k of the root map.
const FIRST_VALUE: [u8; 17] = [1, 1, 1, 0, 40, 1, 3, 109, 97, 112, 1, 107, 1, 119, 1, 97, 0];
/// The value of client 2 that replaces it.
const LAST_VALUE: [u8; 12] = [1, 1, 2, 0, 136, 1, 0, 1, 119, 1, 98, 0];
/// Two values between them.
const SEVERAL_VALUES: [u8; 12] = [200, 1, 0, 2, 0, 2, 119, 1, 120, 119, 1, 121];

/// A forger's value behind the last one and before (7, 1). It becomes the last one, unless the
/// document does not know that (7, 1) stands under the key, too: then it is collected.
const FORGED_VALUE: [u8; 14] = [1, 1, 9, 0, 200, 2, 0, 7, 1, 1, 119, 1, 122, 0];

#[test]
fn a_released_deletion_is_in_the_log_even_if_the_elements_were_deleted_already() {
    let mut recorded = Recorded::new();
    assert_eq!(recorded.send(&FIRST_VALUE), Ok(Outcome::New));
    assert_eq!(recorded.send(&LAST_VALUE), Ok(Outcome::New));
    let several = [&[1, 1, 7, 1][..], &SEVERAL_VALUES, &[0]].concat();
    assert_eq!(recorded.send(&several), Ok(Outcome::Pending));
    // The element before them, and the deletion of all three.
    let release = [1, 1, 7, 0, 0, 1, 1, 7, 1, 0, 3];
    let applied = apply_as(&mut recorded.document, &release, |_| u32::MAX).expect("applies");
    assert_eq!(applied.pending, None);
    let expected = [&[1, 2, 7, 0, 0, 1][..], &SEVERAL_VALUES, &release[6..]].concat();
    assert_eq!(applied.integrated, Integrated::WithPending(expected));
}

#[test]
fn a_restart_does_not_change_the_place_of_several_elements_under_a_key() {
    // The deletion is released together with the elements.
    let mut recorded = Recorded::new();
    let several = [&[1, 1, 7, 1][..], &SEVERAL_VALUES, &[0]].concat();
    let release = [1, 1, 7, 0, 0, 1, 1, 7, 1, 0, 3];
    for update in [&FIRST_VALUE[..], &LAST_VALUE, &several, &release] {
        recorded.send(update).expect("applies");
    }
    assert!(!recorded.document.has_pending());
    assert_eq!(recorded.send(&FORGED_VALUE), Ok(Outcome::New));
    assert_eq!(view(&recorded.document).0, r#"||[]|{"k":"z"}"#);

    // The deletion is in a later part of the row.
    let text = [&[0x04, 1, 4][..], b"text", &[100], &[b'x'; 100]].concat();
    let deletion = [1, 7, 1, 0, 2];
    let whole = [&[1, 2, 7, 0][..], &SEVERAL_VALUES, &text, &deletion].concat();
    let parts = split(&whole, 64).expect("valid");
    assert_eq!(parts.last(), Some(&[&[0], &deletion[..]].concat()));
    let (mut live, mut opened) = (document(), document());
    for update in [&FIRST_VALUE[..], &LAST_VALUE, &whole, &FORGED_VALUE] {
        assert_eq!(apply(&mut live, update), Ok(Outcome::New));
    }
    let rows = [FIRST_VALUE.to_vec(), LAST_VALUE.to_vec()];
    for row in rows.into_iter().chain(parts).chain([FORGED_VALUE.to_vec()]) {
        restore(&mut opened, &row).expect("a row");
    }
    assert_eq!(view(&opened), view(&live));
    assert!(view(&live).0.ends_with(r#"{"k":"z"}"#));
}
