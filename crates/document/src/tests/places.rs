//! Where an element may stand.

use super::super::ApplyError;
use super::truth::{Typed, Watched, update};
use super::{Outcome, apply, document};

#[test]
fn neighbours_in_different_types_are_refused() {
    let mut watched = Watched::new();
    watched
        .send(&update(&[Typed::new(7, 0, "one")]))
        .expect("applies");
    let other = Typed {
        root: "other",
        ..Typed::new(8, 0, "two")
    };
    watched.send(&update(&[other])).expect("applies");
    let torn = Typed {
        left: Some((7, 0)),
        right: Some((8, 1)),
        ..Typed::new(9, 0, "x")
    };
    assert_eq!(watched.send(&update(&[torn])), Err(ApplyError::Torn));
    assert_eq!(watched.document.clock(9), 0);
}

#[test]
fn an_element_around_a_piece_has_a_place_and_one_around_a_part_of_it_has_none() {
    let around = |left, right| {
        let mut watched = Watched::new();
        watched
            .send(&update(&[Typed::new(7, 0, "abc")]))
            .expect("applies");
        let reversed = Typed {
            left: Some((7, left)),
            right: Some((7, right)),
            ..Typed::new(8, 0, "x")
        };
        (watched.send(&update(&[reversed])), watched)
    };
    for (left, right) in [(2, 2), (2, 1), (1, 1)] {
        assert_eq!(around(left, right).0, Err(ApplyError::Crossed));
    }
    // Whether "abc" is one block depends on whether the text after it was there first.
    let mut watched = Watched::new();
    for typed in [
        Typed::new(7, 0, "ab"),
        Typed {
            left: Some((7, 1)),
            ..Typed::new(9, 0, "later")
        },
        Typed::new(7, 2, "c"),
    ] {
        watched.send(&update(&[typed])).expect("applies");
    }
    let reversed = Typed {
        left: Some((7, 2)),
        right: Some((7, 1)),
        ..Typed::new(8, 0, "x")
    };
    let sent = watched.send(&update(&[reversed]));
    assert_eq!(sent, Err(ApplyError::Crossed));
    for left in [0, 2] {
        let (outcome, mut watched) = around(left, 0);
        assert_eq!(outcome, Ok(Outcome::News));
        // It stands at the end for those who write on.
        let behind = Typed {
            left: Some((8, 0)),
            ..Typed::new(9, 0, "y")
        };
        assert_eq!(watched.send(&update(&[behind])), Ok(Outcome::News));
    }
}

#[test]
fn a_right_origin_that_hangs_on_something_between_leaves_no_place() {
    let behind = |client, left| Typed {
        left: Some((left, 0)),
        ..Typed::new(client, 0, "x")
    };
    for (right, expected) in [(3, Err(ApplyError::Crossed)), (2, Ok(Outcome::News))] {
        let mut watched = Watched::new();
        watched
            .send(&update(&[Typed::new(1, 0, "x")]))
            .expect("applies");
        for client in [2, 3] {
            let next = update(&[behind(client, client - 1)]);
            watched.send(&next).expect("applies");
        }
        let between = Typed {
            right: Some((right, 0)),
            ..behind(9, 1)
        };
        assert_eq!(
            watched.send(&update(&[between])),
            expected,
            "before {right}"
        );
    }
}

#[test]
fn what_takes_too_long_to_see_is_too_costly() {
    let mut document = document();
    let pieces: u64 = 60_000;
    for at in 0..pieces {
        let (mine, other) = (1 + at % 2, 2 - at % 2);
        let next = Typed {
            left: at.checked_sub(1).map(|before| (other, before / 2)),
            ..Typed::new(mine, at / 2, "x")
        };
        apply(&mut document, &update(&[next])).expect("applies");
    }
    let over_all = Typed {
        left: Some((1, 0)),
        right: Some((2, pieces / 2 - 1)),
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
    let mut watched = Watched::new();
    assert_eq!(watched.send(&base), Ok(Outcome::News));
    assert_eq!(watched.send(&several(&[0])), Err(ApplyError::Torn));
    assert_eq!(
        watched.send(&several(&[1, 1, 1, 1, 2])),
        Ok(Outcome::News),
        "as a client without garbage collection sends what it replaced"
    );
}
