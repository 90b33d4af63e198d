//! A document says what it lacks of another one.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use yrs::{Text, WriteTxn};

use super::super::{Document, Lack};
use super::convergence::histories;
use super::{Client, document, restore};

fn with(updates: &[Vec<u8>]) -> Document {
    let mut document = document();
    for update in updates {
        restore(&mut document, update).expect("applies");
    }
    document
}

fn lack(ours: &Document, theirs: &Document) -> Option<Lack> {
    ours.lack_of(theirs).expect("sound")
}

#[test]
fn missing_elements_other_content_and_missing_deletions_are_found() {
    let client = Client::new(7);
    let first = client.write(0, "abc");
    let second = client.write(3, "def");
    let deletion = client.edit(|txn| txn.get_or_insert_text("text").remove_range(txn, 1, 2));
    let whole = with(&[first.clone(), second.clone(), deletion]);
    assert_eq!(lack(&whole, &with(&[])), None);
    assert_eq!(lack(&whole, &with(std::slice::from_ref(&first))), None);
    assert_eq!(
        lack(
            &with(std::slice::from_ref(&first)),
            &with(&[first.clone(), second.clone()])
        ),
        Some(Lack::Elements {
            client: 7,
            clock: 3
        })
    );
    assert_eq!(
        lack(&with(&[first, second]), &whole),
        Some(Lack::Deletion {
            client: 7,
            clock: 1
        })
    );
    let another = with(&[Client::new(7).write(0, "abX")]);
    assert_eq!(
        lack(&another, &with(&[Client::new(7).write(0, "abc")])),
        Some(Lack::Different {
            client: 7,
            clock: 0
        })
    );
}

#[test]
fn pending_elements_count() {
    let client = Client::new(7);
    let first = client.write(0, "abc");
    let second = client.write(3, "def");
    let third = client.write(6, "ghi");
    let pending = with(&[first.clone(), third]);
    assert!(pending.has_pending());
    assert_eq!(
        lack(&with(&[first, second]), &pending),
        Some(Lack::Elements {
            client: 7,
            clock: 6
        })
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_document_lacks_nothing_of_what_it_was_given_in_whatever_form(
        (_, updates) in histories(),
        part in subsequence((0..60).collect::<Vec<usize>>(), 0..60),
        has in any::<Index>(),
    ) {
        let whole = with(&updates);
        let copy = with(&[whole.encode().expect("sound")]);
        prop_assert_eq!(lack(&copy, &whole), None);
        prop_assert_eq!(lack(&whole, &copy), None);
        let part: Vec<_> = part.iter().filter_map(|at| updates.get(*at).cloned()).collect();
        prop_assert_eq!(lack(&copy, &with(&part)), None);
        // What lacks nothing has the same state.
        let early = with(&updates[..has.index(updates.len() + 1)]);
        if lack(&early, &whole).is_none() {
            prop_assert_eq!(early.state_vector(), whole.state_vector());
            prop_assert_eq!(early.deletions_hash().ok(), whole.deletions_hash().ok());
        }
    }
}
