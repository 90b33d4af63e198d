//! A document is opened from its snapshot in time, whatever its history.

use yrs::{Text, WriteTxn};

use super::super::parts::Ready;
use super::super::staged::Source;
use super::super::validate;
use super::{Client, LIMITS, apply, document, restore, view};
use crate::{ClientId, Document};

/// Edits of each client, which put text at places that jump back and forth.
const EDITS: u32 = 2_000;

/// The snapshot of a text that these clients wrote, each in its turn.
fn snapshot(clients: [ClientId; 3]) -> Vec<u8> {
    let clients = clients.map(Client::new);
    let mut document = document();
    for count in 0..3 * EDITS {
        let writer = &clients[count as usize % clients.len()];
        let update = writer.edit(|txn| {
            let text = txn.get_or_insert_text("text");
            let at = count.wrapping_mul(2_654_435_761) % (text.len(txn) + 1);
            text.insert(txn, at, "ab");
            if count % 5 == 0 {
                text.remove_range(txn, at, 1);
            }
        });
        for client in &clients {
            client.receive(&update);
        }
        apply(&mut document, &update).expect("applies");
    }
    document.encode().expect("sound")
}

#[test]
fn a_snapshot_is_opened_in_few_parts_whatever_the_order_of_its_clients() {
    for clients in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let saved = snapshot(clients);
        let checked = validate(&saved).expect("valid");
        assert!(checked.needs_full_read, "it is large");
        let empty = Document::new(LIMITS);
        let prepared = empty.prepare_cut(&saved, Source::Log, |_| u32::MAX);
        let parts = match prepared.expect("sound").ready {
            Ready::Whole => 1,
            Ready::Parts(_, parts) => parts.len(),
            other => panic!("something is left out: {other:?}"),
        };
        assert!(parts < 10, "{parts} parts");
        let mut opened = document();
        restore(&mut opened, &saved).expect("restores");
        assert!(!opened.has_pending());
        assert_eq!(opened.encode().expect("sound"), saved);
        let reader = Client::new(77);
        reader.receive(&saved);
        assert_eq!(view(&opened), reader.view());
    }
}
