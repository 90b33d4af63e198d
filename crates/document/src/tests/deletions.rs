//! A replica that names the hash of its deletions gets everything that it lacks.

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use sha2::{Digest, Sha256};
use yrs::{ReadTxn, Text, Transact, WriteTxn};

use super::super::{DeletionsHash, Document, StateVector};
use super::convergence::histories;
use super::{Client, apply, document, view};

/// What the server answers to a client that has this state vector and this hash; and whether that is
/// without deletions.
fn answer(server: &Document, has: &StateVector, hash: DeletionsHash) -> (Vec<u8>, bool) {
    match server.deletions_hash().expect("sound") == hash {
        true => (server.diff_without_deletions(has).expect("sound"), true),
        false => (server.diff(has).expect("sound"), false),
    }
}

#[test]
fn the_hash_is_that_of_the_update_which_yjs_makes_of_the_deletions_alone() {
    let (low, high) = (Client::new(3), Client::new(900));
    let mut document = document();
    let mut updates = vec![low.write(0, "abcdef")];
    high.receive(&updates[0]);
    updates.push(high.write(6, "ghij"));
    let remove = |at, len| {
        move |txn: &mut yrs::TransactionMut<'_>| {
            txn.get_or_insert_text("text").remove_range(txn, at, len);
        }
    };
    for (at, len) in [(8, 2), (5, 1), (1, 2)] {
        updates.push(high.edit(remove(at, len)));
    }
    for update in &updates {
        apply(&mut document, update).expect("applies");
    }
    let deletions = [0, 2, 0x84, 7, 1, 2, 2, 3, 2, 1, 2, 5, 1];
    let hash = DeletionsHash::find(&Sha256::digest(deletions));
    assert_eq!(document.deletions_hash().ok(), hash);
    assert_eq!(DeletionsHash::find(&[0; 31]), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whoever_names_the_hash_of_its_deletions_lacks_nothing_after_the_answer(
        (_, updates) in histories(),
        server_has in any::<Index>(),
        (client_has, more) in (any::<Index>(), subsequence((0..60).collect::<Vec<usize>>(), 0..60)),
    ) {
        // Each of the two has the beginning of the history, and the client some updates beyond that,
        // which may be pending.
        let server_has = server_has.index(updates.len() + 1);
        let client_has = client_has.index(server_has + 1);
        let (mut server, mut client) = (document(), document());
        for update in &updates[..server_has] {
            apply(&mut server, update).expect("applies");
        }
        let more = more.iter().filter_map(|at| updates[client_has..].get(*at));
        for update in updates[..client_has].iter().chain(more) {
            apply(&mut client, update).expect("applies");
        }
        let has = StateVector::decode(&client.state_vector()).expect("a state vector");
        let (update, without) = answer(&server, &has, client.deletions_hash().expect("sound"));
        let of = |document: &Document| document.replica.doc().transact().snapshot().delete_set;
        prop_assert_eq!(without, of(&client) == of(&server), "the same hash for the same deletions only");
        apply(&mut client, &update).expect("applies");
        // The server has nothing more to give: neither elements nor deletions.
        let before = view(&client);
        let whole = server.diff(&StateVector::default()).expect("sound");
        apply(&mut client, &whole).expect("applies");
        prop_assert_eq!(view(&client), before);
    }
}
