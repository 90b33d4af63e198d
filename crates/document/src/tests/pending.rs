//! Updates that arrive before their dependencies.

use yrs::{ReadTxn, Text, Transact, WriteTxn};

use super::super::{
    ApplyError, DEPTH_MAX, Document, Integrated, PendingLimits, Visibility, merge, validate,
};
use super::{Client, LIMITS, Outcome, apply, apply_as, document, nested, restore, view};

#[test]
fn an_update_that_arrives_too_early_is_pending_and_never_lost() {
    let (mut document, ana) = (document(), Client::new(1));
    let updates = [
        ana.write(0, "one "),
        ana.write(4, "two "),
        ana.write(8, "three"),
    ];
    assert_eq!(apply(&mut document, &updates[2]), Ok(Outcome::Pending));
    let again = apply_as(&mut document, &updates[2], |_| u32::MAX);
    let again = again.expect("applies");
    assert_eq!(again.visibility, Visibility::Pending);
    assert_eq!(
        (again.integrated, again.pending),
        (Integrated::Nothing, None)
    );
    assert!(document.has_pending());
    assert_eq!(document.clock(1), 0);
    // It survives an unload.
    let mut reopened = Document::new(LIMITS);
    let saved = document.encode().expect("sound");
    assert_eq!(restore(&mut reopened, &saved), Ok(Outcome::Pending));
    for mut document in [document, reopened] {
        assert_eq!(apply(&mut document, &updates[0]), Ok(Outcome::New));
        assert!(document.has_pending());
        assert_eq!(apply(&mut document, &updates[1]), Ok(Outcome::New));
        assert!(!document.has_pending());
        assert_eq!((document.pending.len(), document.pending.bytes()), (0, 0));
        assert_eq!(view(&document), ana.view());
    }
}

#[test]
fn a_deletion_of_missing_elements_is_pending() {
    let (mut document, ana, ben) = (document(), Client::new(1), Client::new(2));
    let text = ana.write(0, "hello");
    ben.receive(&text);
    let deletion = ben.edit(|txn| txn.get_or_insert_text("text").remove_range(txn, 1, 3));
    assert_eq!(apply(&mut document, &deletion), Ok(Outcome::Pending));
    assert_eq!(apply(&mut document, &deletion), Ok(Outcome::Pending));
    assert_eq!(apply(&mut document, &text), Ok(Outcome::New));
    assert!(!document.has_pending());
    assert_eq!(view(&document), ben.view());
}

#[test]
fn the_ready_part_of_an_update_is_integrated_at_once() {
    let (mut document, ana, ben) = (document(), Client::new(1), Client::new(2));
    let lost = ana.write(0, "lost");
    let early = ana.write(4, "early");
    let mixed = merge(&[early, ben.write(0, "ready")]).expect("updates");
    assert_eq!(apply(&mut document, &mixed), Ok(Outcome::Pending));
    assert_eq!((document.clock(1), document.clock(2)), (0, 5));
    assert_eq!(apply(&mut document, &lost), Ok(Outcome::New));
    assert!(!document.has_pending());
    assert_eq!(document.clock(1), 9);
}

#[test]
fn beyond_the_limits_only_pending_updates_are_refused() {
    // Class G.
    let (ana, ben) = (Client::new(1), Client::new(2));
    let updates: Vec<_> = (0..10).map(|_| ana.write(0, "x")).collect();
    let mut document = Document::new(PendingLimits {
        updates_max: 3,
        ..LIMITS
    });
    for update in &updates[1..4] {
        assert_eq!(apply(&mut document, update), Ok(Outcome::Pending));
    }
    let before = document.encode();
    assert_eq!(
        apply(&mut document, &updates[4]),
        Err(ApplyError::PendingFull)
    );
    let mixed = merge(&[&updates[4], &ben.write(0, "b")]).expect("updates");
    assert_eq!(apply(&mut document, &mixed), Err(ApplyError::PendingFull));
    assert_eq!(document.encode(), before);
    assert_eq!(
        apply(&mut document, &Client::new(3).write(0, "fine")),
        Ok(Outcome::New)
    );
    assert_eq!(apply(&mut document, &updates[0]), Ok(Outcome::New));
    assert!(!document.has_pending());
    assert_eq!(apply(&mut document, &updates[4]), Ok(Outcome::New));

    let mut document = Document::new(PendingLimits {
        bytes_max: 40,
        ..LIMITS
    });
    let large = Client::new(4);
    large.write(0, "x");
    assert_eq!(apply(&mut document, &updates[1]), Ok(Outcome::Pending));
    assert_eq!(
        apply(&mut document, &large.write(0, &"y".repeat(50))),
        Err(ApplyError::PendingFull)
    );
    assert_eq!(apply(&mut document, &updates[3]), Ok(Outcome::Pending));
}

#[test]
fn types_that_nest_too_deep_once_their_parts_meet_stay_pending() {
    let mut document = document();
    let levels = u32::from(DEPTH_MAX);
    assert_eq!(
        apply(&mut document, &nested(levels, Some(levels - 1), levels)),
        Ok(Outcome::Pending)
    );
    assert_eq!(
        apply(&mut document, &nested(0, None, levels)),
        Ok(Outcome::New)
    );
    assert_eq!(document.clock(1), levels + 1);
    assert!(document.has_pending());
    let saved = document.encode().expect("sound");
    let mut reopened = Document::new(LIMITS);
    assert_eq!(restore(&mut reopened, &saved), Ok(Outcome::Pending));
    assert_eq!(reopened.clock(1), levels + 1);
    assert_eq!(reopened.encode(), Ok(saved));
}

#[test]
fn elements_that_arrive_early_in_two_blocks_are_pending_once() {
    let (mut document, ana) = (document(), Client::new(1));
    let texts = [(0, "ab😀"), (4, "e"), (5, "f"), (6, "g😀")];
    let updates = texts.map(|(at, text)| ana.write(at, text));
    // The same elements as one block, as Yjs sends them after a reconnect.
    let from = yrs::StateVector::from_iter([(yrs::ClientID::new(1), 4)]);
    let joined = ana.0.transact().encode_diff_v1(&from);
    assert_eq!(validate(&joined).map(|checked| checked.runs.len()), Ok(1));
    assert_eq!(apply(&mut document, &updates[2]), Ok(Outcome::Pending));
    assert_eq!(apply(&mut document, &joined), Ok(Outcome::Pending));
    assert_eq!(apply(&mut document, &joined), Ok(Outcome::Pending));
    assert_eq!(apply(&mut document, &updates[3]), Ok(Outcome::Pending));
    assert_eq!(apply(&mut document, &updates[0]), Ok(Outcome::New));
    assert!(!document.has_pending());
    assert_eq!(view(&document), ana.view());
}

#[test]
fn an_edit_inside_a_replaced_type_is_not_pending() {
    let mut document = document();
    let steps: [&[u8]; 6] = [
        &[
            1, 2, 128, 128, 128, 128, 128, 32, 0, 39, 1, 3, 109, 97, 112, 2, 107, 48, 0, 8, 0, 128,
            128, 128, 128, 128, 32, 0, 1, 125, 0, 0,
        ],
        &[
            1, 2, 3, 0, 39, 1, 3, 109, 97, 112, 2, 107, 48, 0, 8, 0, 3, 0, 1, 125, 0, 0,
        ],
        &[1, 1, 3, 2, 4, 1, 4, 116, 101, 120, 116, 1, 97, 0],
        &[1, 1, 3, 3, 68, 3, 2, 1, 97, 0],
        &[1, 1, 3, 4, 136, 3, 1, 1, 125, 0, 0],
        &[1, 1, 3, 5, 136, 3, 4, 1, 125, 0, 0],
    ];
    for (at, step) in steps.iter().enumerate() {
        assert_eq!(apply(&mut document, step), Ok(Outcome::New), "step {at}");
    }
}

#[test]
fn an_update_that_the_document_has_in_part_is_completed() {
    let (mut document, ana) = (document(), Client::new(1));
    apply(&mut document, &ana.write(0, "a😀b")).expect("applies");
    ana.write(4, "cd");
    let whole = ana.0.transact().encode_diff_v1(&Default::default());
    assert_eq!(apply(&mut document, &whole), Ok(Outcome::New));
    assert_eq!(view(&document), ana.view());
}

#[test]
fn a_pending_update_cannot_hide_elements_of_the_document() {
    let (mut document, ana) = (document(), Client::new(1));
    apply(&mut document, &ana.write(0, "ab")).expect("applies");
    // Somebody claims her next ten elements, beside an unknown one.
    let stolen = [
        1, 1, 1, 2, 0x84, 9, 9, 10, b'x', b'x', b'x', b'x', b'x', b'x', b'x', b'x', b'x', b'x', 0,
    ];
    assert_eq!(apply(&mut document, &stolen), Ok(Outcome::Pending));
    assert_eq!(apply(&mut document, &ana.write(2, "cd")), Ok(Outcome::New));
    let saved = document.encode().expect("sound");
    let mut reopened = Document::new(LIMITS);
    reopened
        .restore(&saved, &validate(&saved).expect("valid"))
        .expect("opens");
    assert_eq!(reopened.state_vector(), document.state_vector());
    assert!(view(&reopened).0.starts_with("abcd"));
}

#[test]
fn pending_blocks_are_relayed_once_they_are_integrated() {
    let (mut document, ana, ben) = (document(), Client::new(1), Client::new(2));
    let updates = [
        ana.write(0, "one "),
        ana.write(4, "two "),
        ana.write(8, "three"),
    ];
    let mut integrated = |update: &[u8]| {
        let applied = apply_as(&mut document, update, |_| u32::MAX);
        applied.expect("applies").integrated
    };
    assert_eq!(integrated(&updates[2]), Integrated::Nothing);
    assert_eq!(integrated(&updates[0]), Integrated::Whole);
    ben.receive(&updates[0]);
    let Integrated::WithPending(both) = integrated(&updates[1]) else {
        panic!("more than the update");
    };
    ben.receive(&both);
    assert_eq!(ben.view(), ana.view());
    assert_eq!(integrated(&updates[1]), Integrated::Nothing, "relayed once");
}
