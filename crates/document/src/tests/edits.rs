//! Edits that the server makes.
//!
//! That stock Yjs makes the same of the same operations is for the differential fuzz to show.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use yrs::types::text::YChange;
use yrs::{Out, Text, Transact, WriteTxn};

use super::super::edit::{
    Attributes, Content, EditError, Operation, OperationFault, Position, Target, TextPart,
};
use super::super::{ApplyError, ClientId, Document, Integrated, Visibility};
use super::{Client, Outcome, apply, apply_as, document, view};

/// A client id for the server.
pub(super) const SERVER: ClientId = 77;

/// A replica with what a document holds.
pub(super) fn reader(document: &Document) -> Client {
    let reader = Client::new(1 << 52);
    reader.receive(&document.encode().expect("sound"));
    reader
}

/// All visible content, with the formatting of the root text.
pub(super) fn shown(client: &Client) -> String {
    let (view, _) = client.view();
    let text = client.0.transact_mut().get_or_insert_text("text");
    let parts = text.diff(&client.0.transact(), YChange::identity);
    let part = |part: yrs::types::text::Diff<YChange>| {
        let attributes = part.attributes.unwrap_or_default();
        let attributes: BTreeMap<_, _> = attributes.into_iter().collect();
        format!("{}{attributes:?}", part.insert)
    };
    let parts: Vec<_> = parts.into_iter().map(part).collect();
    format!("{view}|{parts:?}")
}

/// Makes an edit, and applies it like any client's update.
pub(super) fn edit(document: &mut Document, operations: &[Operation]) -> Vec<u8> {
    let update = document.edit(SERVER, operations).expect("can be made");
    let applied = apply_as(document, &update, |_| u32::MAX).expect("applies");
    assert_eq!(applied.visibility, Visibility::Visible);
    let none = update == [0, 0];
    assert!(
        none || applied.integrated == Integrated::Whole,
        "{update:?}"
    );
    update
}

fn text() -> Target {
    Target::root("text")
}

pub(super) fn insert_text(at: u32, text: &str) -> Operation {
    Operation::InsertText {
        target: self::text(),
        at: Position::At(at),
        text: text.to_owned(),
        attributes: None,
    }
}

pub(super) fn delete_text(at: u32, len: u32) -> Operation {
    Operation::DeleteText {
        target: text(),
        at,
        len,
    }
}

pub(super) fn set_key(key: &str, content: Content) -> Operation {
    Operation::SetKey {
        target: Target::root("map"),
        key: key.to_owned(),
        content,
    }
}

fn bold() -> Attributes {
    Attributes::from([("bold".to_owned(), json!(true))])
}

#[test]
fn an_edit_changes_nothing_until_it_is_applied() {
    let (mut document, ana) = (document(), Client::new(1));
    apply(&mut document, &ana.write(0, "hello")).expect("applies");
    let before = document.encode();
    let update = document.edit(SERVER, &[insert_text(5, " world"), delete_text(0, 1)]);
    let update = update.expect("can be made");
    assert_eq!(document.encode(), before);
    assert_eq!(document.clock(SERVER), 0);
    assert_eq!(apply(&mut document, &update), Ok(Outcome::New));
    ana.receive(&update);
    assert_eq!(ana.view(), view(&document));
    assert_eq!(view(&document).0, "ello world||[]|{}");
    assert_eq!(document.edit(SERVER, &[]), Ok(vec![0, 0]));
    assert_eq!(document.edit(SERVER, &[delete_text(3, 0)]), Ok(vec![0, 0]));
}

#[test]
fn every_kind_of_type_can_be_edited() {
    let mut document = document();
    let (array, xml) = (Target::root("array"), Target::root("xml"));
    edit(
        &mut document,
        &[
            insert_text(0, "héllo 😀"),
            insert_text(8, "!"),
            delete_text(0, 1),
            set_key(
                "a",
                Content::Value(json!({"n": [1, -70000, 2.5, 1e300, 1e12, null]})),
            ),
            set_key("b", Content::Value(json!("gone"))),
            set_key("b", Content::Array(vec![Content::Value(json!(1))])),
            Operation::RemoveKey {
                target: Target::root("map"),
                key: "c".to_owned(),
            },
            Operation::InsertValues {
                target: array.clone(),
                at: Position::End,
                contents: vec![
                    Content::Value(json!(1)),
                    Content::Value(json!(2)),
                    Content::Map(BTreeMap::from([("k".to_owned(), Content::Value(json!(3)))])),
                ],
            },
            Operation::DeleteValues {
                target: array.clone(),
                at: 1,
                len: 1,
            },
            Operation::SetKey {
                target: array.index(1),
                key: "k".to_owned(),
                content: Content::Value(json!(4)),
            },
            Operation::InsertNodes {
                target: xml.clone(),
                at: Position::End,
                nodes: vec![Content::paragraph("one"), Content::paragraph("")],
            },
            Operation::InsertText {
                target: xml.clone().index(0).index(0),
                at: Position::End,
                text: " more".to_owned(),
                attributes: None,
            },
            Operation::SetAttribute {
                target: xml.clone().index(0),
                name: "align".to_owned(),
                value: json!("left"),
            },
            Operation::DeleteNodes {
                target: xml,
                at: 1,
                len: 1,
            },
        ],
    );
    let (seen, _) = view(&document);
    assert_eq!(
        seen,
        "éllo 😀!|<paragraph align=\"left\">one more</paragraph>|[1,{\"k\":4}]|\
         {\"a\":{\"n\":[1,-70000,2.5,1e+300,1000000000000,null]},\"b\":[1]}"
    );
}

#[test]
fn text_is_formatted_like_the_character_before_it_or_as_requested() {
    let mut document = document();
    let plain = |at, text: &str| Operation::InsertText {
        target: self::text(),
        at,
        text: text.to_owned(),
        attributes: Some(Attributes::new()),
    };
    edit(
        &mut document,
        &[
            insert_text(0, "abc"),
            Operation::FormatText {
                target: text(),
                at: 1,
                len: 2,
                attributes: bold(),
            },
            insert_text(3, "c"),
            plain(Position::End, "d"),
            plain(Position::At(2), "x"),
            Operation::InsertEmbed {
                target: text(),
                at: Position::At(0),
                content: Content::Value(json!({"image": 1})),
                attributes: bold(),
            },
        ],
    );
    let seen = shown(&reader(&document));
    let expected = r#"["{image: 1}{\"bold\": Bool(true)}", "a{}", "b{\"bold\": Bool(true)}", "x{}", "cc{\"bold\": Bool(true)}", "d{}"]"#;
    assert!(seen.ends_with(expected), "{seen}");
}

#[test]
fn a_paragraph_as_lexical_keeps_it_is_a_text_with_attributes_in_a_text() {
    let mut document = document();
    let node = |kind: &str| BTreeMap::from([("__type".to_owned(), json!(kind))]);
    let run = node("text").into_iter();
    let run = run
        .map(|(key, value)| (key, Content::Value(value)))
        .collect();
    let paragraph = Content::XmlText {
        attributes: node("paragraph"),
        parts: vec![
            TextPart::Embed {
                content: Content::Map(run),
                attributes: Attributes::new(),
            },
            TextPart::plain("hello"),
        ],
    };
    let root = Target::root("root");
    let insert = Operation::InsertEmbed {
        target: root.clone(),
        at: Position::End,
        content: paragraph,
        attributes: Attributes::new(),
    };
    let more = Operation::InsertText {
        target: root.index(0),
        at: Position::End,
        text: " world".to_owned(),
        attributes: None,
    };
    edit(&mut document, &[insert, more]);
    let reader = reader(&document);
    let mut txn = reader.0.transact_mut();
    let root = txn.get_or_insert_text("root");
    let parts = root.diff(&txn, YChange::identity);
    let [
        yrs::types::text::Diff {
            insert: Out::YXmlText(inner),
            ..
        },
    ] = &parts[..]
    else {
        panic!("one paragraph: {parts:?}");
    };
    let parts = inner.diff(&txn, YChange::identity);
    assert!(matches!(parts[0].insert, Out::YMap(_)));
    assert_eq!(parts[1].insert.clone().to_string(&txn), "hello world");
}

#[test]
fn an_operation_that_cannot_be_done_is_named_and_changes_nothing() {
    let mut document = document();
    let nodes = |nodes| Operation::InsertNodes {
        target: Target::root("xml"),
        at: Position::End,
        nodes,
    };
    let setup = [
        insert_text(0, "a😀b"),
        set_key("k", Content::Value(json!(1))),
        nodes(vec![Content::paragraph("p")]),
    ];
    edit(&mut document, &setup);
    let before = document.encode();
    let values = |target| Operation::InsertValues {
        target,
        at: Position::At(0),
        contents: vec![],
    };
    use OperationFault::{InsideCharacter, Misplaced, NoSuchType, OtherKind, OutOfRange};
    for (operation, fault) in [
        (insert_text(5, "x"), OutOfRange),
        (delete_text(4, 1), OutOfRange),
        (delete_text(0, u32::MAX), OutOfRange),
        (insert_text(2, "x"), InsideCharacter),
        (delete_text(0, 2), InsideCharacter),
        (values(text()), OtherKind),
        (values(Target::root("map")), OtherKind),
        (values(Target::root("xml").index(0)), OtherKind),
        (values(Target::root("xml").index(1)), NoSuchType),
        (values(Target::root("map").key("k")), NoSuchType),
        (values(text().index(0)), NoSuchType),
        (nodes(vec![Content::Value(Value::Null)]), Misplaced),
        (nodes(vec![Content::Text(vec![])]), Misplaced),
    ] {
        let made = document.edit(
            SERVER,
            &[set_key("fine", Content::Map(BTreeMap::new())), operation],
        );
        assert_eq!(made, Err(EditError::Operation { index: 1, fault }));
    }
    let mut deep = Value::Null;
    for _ in 0..70 {
        deep = json!([deep]);
    }
    let deep = document.edit(SERVER, &[set_key("k", Content::Value(deep))]);
    assert!(matches!(deep, Err(EditError::Unwritable(_))));
    let mut nested = Content::Array(vec![]);
    for _ in 0..200 {
        nested = Content::Array(vec![nested]);
    }
    let nested = document.edit(SERVER, &[set_key("k", nested)]);
    let fault = Misplaced;
    assert_eq!(nested, Err(EditError::Operation { index: 0, fault }));
    assert_eq!(document.encode(), before);
}

#[test]
fn an_edit_that_takes_too_long_to_make_is_refused() {
    let (mut document, ana) = (document(), Client::new(1));
    for _ in 0..2_000 {
        apply(&mut document, &ana.write(0, "x")).expect("applies");
    }
    let operations: Vec<_> = (0..2_200).map(|at| insert_text(2_000 + at, "y")).collect();
    let made = document.edit(SERVER, &operations);
    assert_eq!(made, Err(EditError::TooCostly));
    assert!(document.edit(SERVER, &operations[..100]).is_ok());
}

#[test]
fn an_id_of_the_server_goes_on_and_never_has_two_writers() {
    let mut document = document();
    let first = document
        .edit(SERVER, &[insert_text(0, "one")])
        .expect("can be made");
    let second = document
        .edit(SERVER, &[insert_text(0, "two")])
        .expect("can be made");
    assert_eq!(apply(&mut document, &first), Ok(Outcome::New));
    assert_eq!(
        apply(&mut document, &second),
        Err(ApplyError::Contradiction)
    );
    edit(&mut document, &[insert_text(3, " more")]);
    assert_eq!(view(&document).0, "one more||[]|{}");
    assert_eq!(document.clock(SERVER), 8);
    // An id with pending blocks or deletions cannot be used.
    let ana = Client::new(9);
    ana.write(0, "lost");
    assert_eq!(
        apply(&mut document, &ana.write(4, "early")),
        Ok(Outcome::Pending)
    );
    assert_eq!(
        apply(&mut document, &[0, 1, 10, 1, 0, 3]),
        Ok(Outcome::Pending)
    );
    for id in [9, 10, 1 << 53] {
        assert_eq!(document.edit(id, &[]), Err(EditError::ClientId), "{id}");
        assert_eq!(document.replace_with(id, &[0, 0]), Err(EditError::ClientId));
    }
    let drawn = document.draw_client_id();
    assert!(drawn > 0 && drawn <= u64::from(u32::MAX));
    assert_eq!(document.clock(drawn), 0);
    assert_ne!(drawn, document.draw_client_id());
}
