//! Random operations have the effect that they have in yrs.

use proptest::prelude::*;
use serde_json::json;
use yrs::{Array, ArrayPrelim, Map, Text, WriteTxn, XmlElementPrelim, XmlFragment, XmlTextPrelim};

use super::super::edit::{Content, Operation, Position, Target};
use super::convergence::histories;
use super::edits::{delete_text, edit, insert_text, reader, set_key, shown};
use super::{Client, apply, document};

/// An operation that can be done now, and that is done to `client` by yrs.
fn operation(client: &Client, (kind, at, size): (u8, u32, u32)) -> Option<Operation> {
    let mut made = None;
    client.edit(|txn| {
        let text = txn.get_or_insert_text("text");
        let (array, map) = (
            txn.get_or_insert_array("array"),
            txn.get_or_insert_map("map"),
        );
        let xml = txn.get_or_insert_xml_fragment("xml");
        let key = format!("k{}", at % 3);
        let (texts, values, nodes) = (text.len(txn), array.len(txn), xml.len(txn));
        let range = |len: u32| (at % (len + 1), size.min(len - at % (len + 1)));
        let target = Target::root;
        made = Some(match kind {
            0 => {
                let (at, _) = range(texts);
                text.insert(txn, at, &"aé日b"[..[1, 3, 6, 7][size as usize % 4]]);
                insert_text(at, &"aé日b"[..[1, 3, 6, 7][size as usize % 4]])
            }
            1 => {
                let (at, len) = range(texts);
                text.remove_range(txn, at, len);
                delete_text(at, len)
            }
            2 => {
                let (at, _) = range(values);
                array.insert(txn, at, ArrayPrelim::from([size]));
                Operation::InsertValues {
                    target: target("array"),
                    at: Position::At(at),
                    contents: vec![Content::Array(vec![Content::Value(json!(size))])],
                }
            }
            3 => {
                let (at, len) = range(values);
                array.remove_range(txn, at, len);
                Operation::DeleteValues {
                    target: target("array"),
                    at,
                    len,
                }
            }
            4 => {
                map.insert(txn, key.clone(), size);
                set_key(&key, Content::Value(json!(size)))
            }
            5 => {
                map.remove(txn, &key);
                Operation::RemoveKey {
                    target: target("map"),
                    key,
                }
            }
            6 => {
                let (at, _) = range(nodes);
                let paragraph = xml.insert(txn, at, XmlElementPrelim::empty("paragraph"));
                paragraph.insert(txn, 0, XmlTextPrelim::new("text"));
                Operation::InsertNodes {
                    target: target("xml"),
                    at: Position::At(at),
                    nodes: vec![Content::paragraph("text")],
                }
            }
            _ => {
                let (at, len) = range(nodes);
                xml.remove_range(txn, at, len);
                Operation::DeleteNodes {
                    target: target("xml"),
                    at,
                    len,
                }
            }
        });
    });
    made
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn operations_have_the_effect_that_they_have_in_yrs(
        (_, updates) in histories(),
        steps in prop::collection::vec((0..8u8, 0..50u32, 0..5u32), 1..12),
    ) {
        let mut document = document();
        for update in &updates {
            apply(&mut document, update).expect("applies");
        }
        let client = Client::new(9);
        client.receive(&document.encode().expect("sound"));
        let operations: Vec<_> = steps.into_iter().filter_map(|step| operation(&client, step)).collect();
        edit(&mut document, &operations);
        prop_assert_eq!(shown(&reader(&document)), shown(&client));
    }
}
