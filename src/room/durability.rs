//! What becomes of accepted updates: relayed, written, acknowledged; and what is done
//! when the log refuses, or holds what the document lacks.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use tracing::{error, info};

use super::{
    Command, Event, Extent, Message, ResyncReason, StorageStatus, live, load,
    task::Room,
    turn::{self, Row},
};
use crate::{
    error::Error,
    id::Seq,
    store::{AppendError, Availability, Entry, Reservation},
};

/// Larger rows are written as several: a database takes many small ones better than a
/// large one.
const ROW_BYTES_MAX: usize = 1024 * 1024;

impl Room {
    /// Relays what was accepted, then hands it to the log.
    pub(super) fn flush(&mut self, now: Instant) {
        let Some(record) = &self.record else { return };
        let document = record.id;
        let rows = turn::merged_rows(self.commits.take_accepted());
        let authors = rows.authors;
        let rows = rows.rows;
        for row in &rows {
            let Some(message) = &row.message else {
                continue;
            };
            let message = Message::Update(message.clone());
            let told = self.members.tell(message, row.from, now);
            self.relays.went(told.receivers.max(1), now);
            self.shared
                .metrics
                .relayed(row.updates, told.receivers, told.bytes);
        }
        let rows: Vec<_> = rows.into_iter().flat_map(in_parts).collect();
        self.commits
            .begin(rows.iter().map(|(bytes, _)| bytes.clone()).collect());
        let own = self.own.clone();
        let entry = Entry { rows, authors };
        let settled = move |result| {
            // Only a room that has ended does not hear it.
            let _ = own.send(Command::Own(Event::Appended(result)));
        };
        self.shared
            .store
            .log()
            .append(document, entry, Box::new(settled));
    }

    pub(super) async fn appended(&mut self, result: Result<Seq, AppendError>) {
        let Some(append) = self.commits.settle() else {
            return;
        };
        match result {
            Ok(seq) => {
                if self.left_alone_until.take().is_some() {
                    self.announce_storage();
                }
                let hole = self.document.appended(seq, &append.rows);
                let now = Instant::now();
                self.commits.hold(append.receipts, seq, now);
                if self.members.len() < 2 || self.relays.is_quiet(now) {
                    self.acknowledge();
                }
                if hole {
                    Box::pin(self.catch_up()).await;
                }
            }
            Err(AppendError::Gone) => {
                let gone = Error::NotFound { what: "document" };
                append
                    .receipts
                    .into_iter()
                    .for_each(|receipt| receipt.refuse(gone.clone()));
                self.close(gone);
            }
            Err(AppendError::Refused { retry_after }) => {
                append
                    .receipts
                    .into_iter()
                    .for_each(|receipt| receipt.refuse(Error::StorageUnavailable));
                self.left_alone_until = Some(Instant::now() + retry_after);
                self.announce_storage();
                self.commits.doubt();
                Box::pin(self.rebuild()).await;
            }
        }
    }

    /// Whether the database refused this document lately, so that nothing is accepted.
    pub(super) fn is_left_alone(&self, now: Instant) -> bool {
        self.left_alone_until.is_some_and(|until| now < until)
    }

    /// What the members are told of the storage of this document.
    pub(super) fn storage(&self) -> StorageStatus {
        if *self.availability.borrow() == Availability::Unavailable
            || self.left_alone_until.is_some()
        {
            StorageStatus::Unavailable
        } else if self.document.is_damaged() {
            StorageStatus::Damaged
        } else {
            StorageStatus::Ok
        }
    }

    /// Sends the acks of what is durable.
    pub(super) fn acknowledge(&mut self) {
        let acks = self.commits.take_acks();
        if acks.is_empty() {
            return;
        }
        let now = Instant::now();
        for (receipt, seq) in &acks {
            let latency = now.duration_since(receipt.received);
            self.shared.metrics.acked(latency);
            receipt.accept(*seq);
        }
        // Whoever sent many updates in one go is flushed once.
        for of_one in acks.chunk_by(|(one, _), (next, _)| Arc::ptr_eq(&one.seat, &next.seat)) {
            let (receipt, _) = &of_one[0];
            receipt.seat.flush(Extent::of(acks.len()));
        }
    }

    /// Reads what others wrote into this document's log, and shows it to the members.
    async fn catch_up(&mut self) {
        let Some(record) = &self.record else { return };
        match load::read_news(&self.shared, record.id, &mut self.document).await {
            Ok(updates) => {
                let now = Instant::now();
                for update in updates {
                    self.members.tell(Message::Update(update), None, now);
                }
                if self.document.is_damaged() {
                    self.announce_storage();
                }
            }
            Err(error) => {
                error!(code = error.code(), document = %record.id, "the log could not be read again")
            }
        }
    }

    /// Builds the document anew from its log and from what is not in it yet.
    pub(super) async fn rebuild(&mut self) {
        let Some(record) = &self.record else { return };
        let document = record.id;
        let mut wait = Duration::from_millis(50);
        loop {
            match load::load(&self.shared, document, self.commits.unwritten()).await {
                Ok(opened) => break self.take_on(opened),
                Err(error) if self.shared.draining() => return self.close(error),
                Err(gone @ Error::NotFound { .. }) => return self.close(gone),
                Err(_) => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(Duration::from_secs(5));
        }
        info!(%document, "the document was rebuilt from its log");
        self.announce_storage();
        self.members
            .resync_all(ResyncReason::Rebuilt, Instant::now());
    }

    pub(super) fn put_snapshot_when_due(&mut self) {
        let Some(record) = &self.record else { return };
        if *self.availability.borrow() == Availability::Ok && self.document.snapshot_is_due() {
            let own = self.own.clone();
            live::put_snapshot(&self.shared, record.id, &mut self.document, move |held| {
                let _ = own.send(Command::Own(Event::SnapshotPut(held)));
            });
        }
    }
}

/// The row as it is written.
fn in_parts(row: Row) -> Vec<(Bytes, Reservation)> {
    let parts = match row.bytes.len() > ROW_BYTES_MAX {
        true => document::split(&row.bytes, ROW_BYTES_MAX),
        false => None,
    };
    let Some(parts) = parts else {
        return vec![(row.bytes, row.reservation)];
    };
    let further = row.reservation.further();
    let reservations =
        std::iter::once(row.reservation).chain(std::iter::repeat_with(|| further.further()));
    parts
        .into_iter()
        .map(Bytes::from)
        .zip(reservations)
        .collect()
}
