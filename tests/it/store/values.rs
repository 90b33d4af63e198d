//! Values of each column type are written to both databases and read back.

use realtime_server::{
    error::{Error, Result},
    id::{DocumentId, RoomName, Seq, Timestamp, UserId},
    store::{Bind, FromRow, Json, Row, args},
};
use serde_json::{Value, json};

use super::{Home, on_both};

on_both!(
    every_type_of_value_is_read_back,
    nulls_are_read_back_also_after_values,
    invalid_values_are_refused_by_both_databases,
    reading_a_column_as_another_type_fails,
);

/// A table with a column of each type, as each database has it.
pub(super) async fn make_things(home: &Home) {
    let sql = if home.is_sqlite() {
        "create table thing (id integer primary key, flag integer, number integer, words text,
         bytes blob, at integer, extra text, document_id text, owner text, room text) strict"
    } else {
        "create table thing (id bigint primary key, flag boolean, number bigint, words text,
         bytes bytea, at timestamptz, extra jsonb, document_id text, owner text, room text)"
    };
    home.run(sql).await;
}

/// The number of things.
pub(super) async fn things(home: &Home) -> i64 {
    home.number("select count(*) from thing").await
}

#[derive(Debug, PartialEq)]
pub(super) struct Thing {
    flag: Option<bool>,
    number: Option<Seq>,
    words: Option<String>,
    bytes: Option<Vec<u8>>,
    at: Option<Timestamp>,
    extra: Option<Json<Value>>,
    document: Option<DocumentId>,
    owner: Option<UserId>,
    room: Option<RoomName>,
}

impl FromRow for Thing {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            flag: row.get("flag")?,
            number: row.get("number")?,
            words: row.get("words")?,
            bytes: row.get("bytes")?,
            at: row.get("at")?,
            extra: row.get("extra")?,
            document: row.get("document_id")?,
            owner: row.get("owner")?,
            room: row.get("room")?,
        })
    }
}

pub(super) const INSERT: &str = "insert into thing
    (id, flag, number, words, bytes, at, extra, document_id, owner, room)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";

pub(super) fn full() -> Thing {
    Thing {
        flag: Some(true),
        number: Some(Seq(i64::MAX)),
        words: Some("Grüße, 'quoted' 👍".into()),
        bytes: Some(vec![0, 255, 7]),
        at: Some(Timestamp(-1)),
        extra: Some(Json(json!({ "a": [1, null, "x"], "b": { "c": 1.5 } }))),
        document: Some(DocumentId::generate()),
        owner: UserId::parse("ana"),
        room: RoomName::parse("a room").ok(),
    }
}

fn empty() -> Thing {
    Thing {
        flag: None,
        number: None,
        words: None,
        bytes: None,
        at: None,
        extra: None,
        document: None,
        owner: None,
        room: None,
    }
}

pub(super) fn values(id: i64, it: &Thing) -> Vec<Bind> {
    args![
        id,
        it.flag,
        it.number,
        it.words,
        it.bytes,
        it.at,
        it.extra,
        it.document,
        it.owner,
        it.room
    ]
}

async fn every_type_of_value_is_read_back(home: Home) {
    let store = home.open().await;
    make_things(&home).await;
    let thing = full();
    let (rows, read, tuple) = store
        .transact(async |tx| {
            let rows = tx.execute(INSERT, values(1, &thing)).await?;
            // Each value is also found by an equal value, which shows that its type was kept.
            let read = tx
                .find::<Thing>(
                    "select * from thing where id = $1 and flag = $2 and number = $3 and words = $4
                     and bytes = $5 and at = $6 and extra = $7 and document_id = $8
                     and owner = $9 and room = $10",
                    values(1, &thing),
                )
                .await?;
            let tuple = tx
                .find::<(i64, bool, String, Json<Value>)>(
                    "select id, flag, words, extra from thing",
                    args![],
                )
                .await?;
            Ok((rows, read, tuple.unwrap()))
        })
        .await
        .unwrap();
    assert_eq!((rows, read.as_ref()), (1, Some(&thing)));
    assert_eq!((tuple.0, tuple.1), (1, true));
    assert_eq!((Some(tuple.2), Some(tuple.3)), (thing.words, thing.extra));
}

async fn nulls_are_read_back_also_after_values(home: Home) {
    let store = home.open().await;
    make_things(&home).await;
    // One connection runs the prepared statement with values, with nulls, and with values again.
    for (id, thing) in [(1, full()), (2, empty()), (3, full())] {
        let read = store
            .transact(async |tx| {
                tx.execute(INSERT, values(id, &thing)).await?;
                tx.find::<Thing>("select * from thing where id = $1", args![id])
                    .await
            })
            .await;
        assert_eq!(read.unwrap(), Some(thing));
    }
    assert_eq!(things(&home).await, 3);
}

async fn invalid_values_are_refused_by_both_databases(home: Home) {
    let store = home.open().await;
    make_things(&home).await;
    const WORDS: &str = "insert into thing (id, words) values ($1, $2)";
    const EXTRA: &str = "insert into thing (id, extra) values ($1, $2)";
    let invalid = Json(std::collections::HashMap::from([((1, 2), 3)]));
    for (sql, args) in [
        (WORDS, args![1_i64, "a\0b"]),
        (EXTRA, args![1_i64, json!(["a\0b"])]),
        (EXTRA, args![1_i64, invalid]),
        (WORDS, args![1_i64]),
        (WORDS, args![1_i64, "a", "b"]),
    ] {
        let refused = store
            .transact(async |tx| tx.execute(sql, args.clone()).await)
            .await;
        assert_eq!(refused, Err(Error::Internal), "{args:?}");
    }
    assert_eq!(things(&home).await, 0);
}

async fn reading_a_column_as_another_type_fails(home: Home) {
    let store = home.open().await;
    make_things(&home).await;
    for sql in ["select words from thing", "select number from thing"] {
        let read = store
            .transact(async |tx| {
                tx.execute(INSERT, values(1, &full())).await?;
                tx.find::<(DocumentId,)>(sql, args![]).await
            })
            .await;
        assert_eq!(read, Err(Error::Internal));
    }
    assert_eq!(things(&home).await, 0);
}
