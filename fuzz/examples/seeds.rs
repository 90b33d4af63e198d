//! Writes the seeds from which the fuzz targets start, and the document that
//! `update` starts with. Run it in `fuzz/`, and again when the seeds change.

use std::fs;
use std::io;
use std::path::Path;

use document::awareness::{Entry, encode};
use document::merge;
use yrs::types::Attrs;
use yrs::{
    Any, Array, ArrayPrelim, Doc, Map, MapPrelim, OffsetKind, Options, ReadTxn, Text, Transact,
    TransactionMut, Update, WriteTxn, XmlElementPrelim, XmlFragment, XmlTextPrelim,
    updates::decoder::Decode,
};

fn main() -> io::Result<()> {
    let updates = updates();
    let whole = Doc::new();
    for update in &updates[..8] {
        let update = Update::decode_v1(update).map_err(io::Error::other)?;
        whole
            .transact_mut()
            .apply_update(update)
            .map_err(io::Error::other)?;
    }
    fs::write(
        "fuzz_targets/populated.bin",
        whole.transact().encode_diff_v1(&Default::default()),
    )?;

    let mut seeds: Vec<_> = updates.iter().map(|update| seed(&[update])).collect();
    seeds.extend(updates.windows(3).map(|some| seed(some)));
    seeds.push(seed(&updates));
    seeds.extend(
        updates
            .chunks(5)
            .filter_map(|updates| merge(updates).ok())
            .map(|update| seed(&[update])),
    );
    // Every other update: holes and missing dependencies, in one and in many.
    let halves: Vec<_> = updates.iter().step_by(2).collect();
    seeds.extend(merge(&halves).ok().map(|update| seed(&[update])));
    seeds.push(seed(&halves));
    write("corpus/update", &seeds)?;
    write("corpus/awareness", &awareness())?;
    write("corpus/frames", &frames())?;
    write("corpus/polling", &texts(BODIES))?;
    write("corpus/packets", &texts(PACKETS))?;
    write("corpus/yjs", &STOCK.map(<[u8]>::to_vec))?;
    write("corpus/y_socket_io", &NAMESPACE.map(<[u8]>::to_vec))
}

/// Packets of y-socket.io with their attachments.
const NAMESPACE: [&[u8]; 5] = [
    b"51-/yjs|a,0[\"sync-step-1\",{\"_placeholder\":true,\"num\":0}]\xff\0",
    b"61-/yjs|a,0[{\"_placeholder\":true,\"num\":0}]\xff\0\0",
    b"51-/yjs|a,[\"sync-update\",{\"_placeholder\":true,\"num\":0}]\xff\0\0",
    b"51-/yjs|a,[\"awareness-update\",{\"_placeholder\":true,\"num\":0}]\xff\0",
    b"2/yjs|a,[\"sync-update\"]",
];

/// Frames of stock Yjs clients: steps, states, a question, an echo, several messages, and unknown ones.
const STOCK: [&[u8]; 8] = [
    &[0, 0, 1, 0],
    &[0, 1, 2, 0, 0],
    &[0, 2, 2, 0, 0],
    &[1, 6, 1, 5, 1, 2, 0x7b, 0x7d],
    &[3],
    &[102, 2, 7, 8],
    &[0, 0, 1, 0, 3, 1, 1, 0],
    &[2, 0, 2, 0x6e, 0x6f],
];

/// Bodies of polling requests.
const BODIES: &[&str] = &[
    "4hello",
    "4one\x1e4two\x1e4three",
    "4hello\x1ebAQIDBA==",
    "3\x1e3probe\x1e1",
    "b\x1ebAQ\x1e4",
    "2\x1e6",
];

/// Packets of Socket.IO.
const PACKETS: &[&str] = &[
    r#"0{"token":"t"}"#,
    "0/other,{}",
    "1",
    r#"212["join_room",{"room":"r"}]"#,
    r#"2["n\u00fcmber",1e400,[null]]"#,
    r#"52-/a,7["x",{"_placeholder":true,"num":0}]"#,
    "312[]",
    "61-3[0]",
];

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Frames of a WebSocket client with a mask of zeros, behind the size of the pieces.
fn frames() -> Vec<Vec<u8>> {
    let frame = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, 0x80 | payload.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    };
    let long = [&[0x82, 0xFE, 0, 200, 1, 2, 3, 4][..], &[7; 200]].concat();
    let conversations = [
        vec![frame(0x81, "4grüße".as_bytes()), frame(0x82, &[0, 255])],
        vec![
            frame(0x01, b"a"),
            frame(0x89, b"ping"),
            frame(0x00, b"b"),
            frame(0x80, b"c"),
        ],
        vec![long, frame(0x8A, b""), frame(0x88, &[0x03, 0xE8, b'x'])],
        vec![frame(0x88, &[0x03, 0xED])],
    ];
    conversations
        .iter()
        .map(|frames| [&[3], frames.concat().as_slice()].concat())
        .collect()
}

/// An input of these messages.
fn seed<B: AsRef<[u8]>>(messages: &[B]) -> Vec<u8> {
    let mut input = Vec::new();
    for message in messages.iter().map(AsRef::as_ref) {
        input.extend_from_slice(&(message.len() as u16).to_le_bytes());
        input.extend_from_slice(message);
    }
    input
}

fn updates() -> Vec<Vec<u8>> {
    let clients = [client(1), client(2), client((1 << 53) - 1)];
    let bold = || Attrs::from([("bold".into(), Any::Bool(true))]);
    let mut updates = vec![
        edit(&clients[0], |txn| {
            txn.get_or_insert_text("text")
                .insert(txn, 0, "héllo 😀 world")
        }),
        edit(&clients[0], |txn| {
            txn.get_or_insert_text("text").format(txn, 2, 5, bold())
        }),
        edit(&clients[0], |txn| {
            let text = txn.get_or_insert_text("text");
            text.insert_embed(
                txn,
                3,
                Any::from_json(r#"{"image":"x.png","n":[1,2.5]}"#).expect("JSON"),
            );
        }),
        edit(&clients[0], |txn| {
            txn.get_or_insert_text("text").remove_range(txn, 1, 4)
        }),
        edit(&clients[0], |txn| {
            let map = txn.get_or_insert_map("map");
            map.insert(txn, "k", ArrayPrelim::from(["one", "two"]));
            map.insert(txn, "k", 7);
            map.insert(txn, "b", Any::from(vec![1u8, 2, 3]));
            map.insert(txn, "m", MapPrelim::from([("x", 1.5), ("y", -2.0)]));
        }),
        edit(&clients[0], |txn| {
            let array = txn.get_or_insert_array("array");
            let inner = array.insert(txn, 0, ArrayPrelim::from([1, 2, 3]));
            inner.insert(txn, 1, ArrayPrelim::from([true, false]));
            array.insert(txn, 1, Doc::with_client_id(9));
        }),
        edit(&clients[0], |txn| {
            let xml = txn.get_or_insert_xml_fragment("xml");
            let p = xml.insert(txn, 0, XmlElementPrelim::empty("p"));
            p.insert(txn, 0, XmlTextPrelim::new("paragraph"));
        }),
    ];
    for update in &updates {
        for other in &clients[1..] {
            apply(other, update);
        }
    }
    updates.push(edit(&clients[1], |txn| {
        txn.get_or_insert_text("text").insert(txn, 4, "ben");
        txn.get_or_insert_array("array").remove_range(txn, 0, 1);
    }));
    updates.push(edit(&clients[2], |txn| {
        txn.get_or_insert_text("text").insert(txn, 4, "cy");
        let xml = txn.get_or_insert_xml_fragment("xml");
        xml.insert(txn, 1, XmlElementPrelim::empty("hr"));
        xml.remove_range(txn, 0, 1);
    }));
    for at in 0..6 {
        updates.push(edit(&clients[at % 3], |txn| {
            txn.get_or_insert_text("text")
                .insert(txn, at as u32, "typed");
            txn.get_or_insert_map("map").insert(txn, "k", at as u32);
        }));
    }
    updates
}

fn client(id: u64) -> Doc {
    let client_id = yrs::ClientID::new(id);
    Doc::with_options(Options {
        client_id,
        offset_kind: OffsetKind::Utf16,
        ..Options::default()
    })
}

fn edit(client: &Doc, edit: impl FnOnce(&mut TransactionMut<'_>)) -> Vec<u8> {
    let mut txn = client.transact_mut();
    edit(&mut txn);
    txn.encode_update_v1()
}

fn apply(client: &Doc, update: &[u8]) {
    let update = Update::decode_v1(update).expect("an update");
    client
        .transact_mut()
        .apply_update(update)
        .expect("integrates");
}

fn awareness() -> Vec<Vec<u8>> {
    let entry = |client, clock, state: Option<&str>| Entry {
        client,
        clock,
        state: state.map(Into::into),
    };
    let cursor = r##"{"user":{"name":"Ana","color":"#f00","id":"x"},"cursor":{"anchor":{"item":{"client":9007199254740991,"clock":3}}}}"##;
    let states = [
        vec![entry(1, 1, Some("{}"))],
        vec![entry(1, 2, Some(cursor)), entry(1 << 40, 0, None)],
        vec![
            entry(7, 9, Some(r#"{"user":null,"us\u0065r":[1.5e3]}"#)),
            entry(1, 2, None),
        ],
    ];
    let states = states.map(|entries| encode(&entries));
    let alone = states.iter().map(|state| seed(&[state]));
    alone.chain([seed(&states)]).collect()
}

fn write(folder: &str, seeds: &[Vec<u8>]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (at, seed) in seeds.iter().enumerate() {
        fs::write(Path::new(folder).join(format!("seed-{at:02}")), seed)?;
    }
    Ok(())
}
