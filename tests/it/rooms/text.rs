//! Updates that write a text, and the text that an update holds.

use bytes::Bytes;
use yrs::{GetString, ReadTxn, Text, Transact, WriteTxn, updates::decoder::Decode};

/// The update with which the client `id` writes `text` into the text `name`.
pub(crate) fn written(id: u64, name: &str, text: &str) -> Bytes {
    let doc = yrs::Doc::with_client_id(id);
    let mut txn = doc.transact_mut();
    txn.get_or_insert_text(name).insert(&mut txn, 0, text);
    txn.encode_update_v1().into()
}

/// The text `name` of a document that holds `update` alone.
pub(super) fn read(update: &[u8], name: &str) -> String {
    let doc = yrs::Doc::new();
    let mut txn = doc.transact_mut();
    let update = yrs::Update::decode_v1(update).expect("an update");
    txn.apply_update(update).expect("applies");
    let text = txn.get_text(name);
    text.map_or_else(String::new, |text| text.get_string(&txn))
}
