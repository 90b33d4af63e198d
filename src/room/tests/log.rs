//! The simulated database.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::LazyLock,
};

use bytes::Bytes;
use document::Document;

use super::client::rows;
use crate::{
    auth::User,
    config::Limits,
    id::{ClientId, DocumentId, RoomName, Seq, Timestamp, UserId},
    limits::Memory,
    metrics::Metrics,
    room::{
        load::replay,
        open_document::{Opened, pending_limits},
    },
    store::{Loaded, Metadata, NewRows},
};

/// The log of the document, as the database has it.
#[derive(Default)]
pub(super) struct Log {
    pub(super) exists: bool,
    pub(super) rows: Vec<Bytes>,
    pub(super) under_way: VecDeque<NewRows>,
    pub(super) snapshot: Option<(Seq, Bytes)>,
    pub(super) putting: Option<(Seq, Bytes)>,
    /// The elements that its rows hold, by client.
    pub(super) elements: BTreeMap<ClientId, BTreeSet<u32>>,
}

impl Log {
    /// How many elements of `client` are visible to a reader of the log: those before the first
    /// missing one.
    pub(super) fn visible(&self, client: ClientId) -> u32 {
        let Some(elements) = self.elements.get(&client) else {
            return 0;
        };
        (0..).find(|clock| !elements.contains(clock)).unwrap_or(0)
    }

    pub(super) fn write(&mut self, row: Bytes) {
        for advance in &document::validate(&row).expect("an update").advances {
            let elements = self.elements.entry(advance.client).or_default();
            elements.extend(advance.from..advance.to);
        }
        self.rows.push(row);
    }

    /// The rows after `since`, or the whole document if these are trimmed.
    pub(super) fn read_on(&self, since: Seq) -> Loaded {
        let trimmed = self.snapshot.as_ref().map_or(Seq(0), |(seq, _)| *seq);
        if since < trimmed {
            return self.loaded();
        }
        let updates = self.rows.iter().enumerate().skip(rows(since));
        Loaded {
            updates: updates
                .map(|(at, row)| (Seq(at as i64 + 1), row.clone()))
                .collect(),
            head_seq: Seq(self.rows.len() as i64),
            ..Loaded::default()
        }
    }

    pub(super) fn loaded(&self) -> Loaded {
        let from = self.snapshot.as_ref().map_or(0, |(seq, _)| rows(*seq));
        let updates = self.rows.iter().enumerate().skip(from);
        Loaded {
            snapshot: self.snapshot.clone(),
            updates: updates
                .map(|(at, row)| (Seq(at as i64 + 1), row.clone()))
                .collect(),
            head_seq: Seq(self.rows.len() as i64),
            ..Loaded::default()
        }
    }
}

pub(super) fn document_of(updates: &[Bytes]) -> Document {
    let mut document = Document::new(pending_limits(&limits()));
    for update in updates {
        let checked = document::validate(update).expect("an update");
        document.restore(update, &checked).expect("it applies");
    }
    document
}

pub(super) fn limits() -> Limits {
    Limits {
        snapshot_rows: 5,
        ..Limits::default()
    }
}

/// One value for all schedules, because making one takes longer than most schedules.
pub(super) fn metrics() -> Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::new);
    METRICS.clone()
}

pub(super) fn memory() -> Memory {
    Memory::new(1 << 30, metrics())
}

pub(super) fn opened(log: &Log, unwritten: &[Bytes]) -> Opened {
    let (document, refused) = replay(
        &log.loaded(),
        unwritten,
        DocumentId::generate(),
        &limits(),
        &memory(),
    );
    assert!(refused.is_empty(), "all rows can be read");
    Opened {
        document,
        authors: Vec::new(),
    }
}

/// The metadata of the document, created `at`.
pub(super) fn metadata(at: Timestamp) -> Metadata {
    Metadata {
        room: RoomName::parse("room").expect("a name"),
        document_id: DocumentId::generate(),
        title: None,
        created_by: User {
            id: UserId::parse("ana").expect("an id"),
            name: "Ana".into(),
            avatar_url: None,
        },
        created_at: at,
        updated_at: at,
        deleted_at: None,
        status: None,
    }
}
