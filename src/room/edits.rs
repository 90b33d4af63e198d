//! How a room takes in updates: checked, applied, relayed, appended, acknowledged.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use tracing::{error, info};

use super::{
    Command, Event, Extent, Message, Participant, ResyncReason,
    commits::{Accepted, Audience, Receipt},
    live,
    ownership::Sender,
    task::{End, NOT_JOINED, Room},
    turn,
};
use crate::{
    document::{self, Advance, Applied, ApplyError, Checked, Integrated, Visibility},
    error::{Error, Result},
<<<<<<< HEAD
    id::{Seq, SessionId, Timestamp},
    store::{AppendError, Author, Availability, Reservation},
=======
    id::{Seq, Timestamp},
    store::{AppendError, Availability, Entry, Reservation},
>>>>>>> store
};

impl Room {
    /// Takes an update in, or refuses it and leaves the document as it was.
    pub(super) fn update(&mut self, mut receipt: Receipt, bytes: Bytes, checked: &Checked) {
        self.shared.metrics.update_received(bytes.len() as u64);
        match self.apply(&receipt, bytes, checked) {
            Ok((visibility, accepted)) => {
                receipt.visibility = visibility;
                self.accept(receipt, accepted);
            }
            Err(error) => receipt.refuse(error),
        }
    }

    fn accept(&mut self, receipt: Receipt, accepted: Option<Accepted>) {
        if let Some(accepted) = accepted {
            self.shared.metrics.update_accepted();
            return self.commits.accept(accepted, receipt);
        }
        if let Some(due) = self.commits.await_all(receipt) {
            // Not before the acks that are held: a client's come in order.
            self.acknowledge();
            due.accept(self.document.durable());
            due.seat.flush(Extent::Few);
        }
    }

    fn apply(
        &mut self,
        receipt: &Receipt,
        bytes: Bytes,
        checked: &Checked,
    ) -> Result<(Visibility, Option<Accepted>)> {
        if self.end != End::Open {
            return Err(Error::Draining);
        }
        let who = receipt.seat.participant();
        let Some(member) = self.members.find(who.session) else {
            return Err(NOT_JOINED);
        };
        member.last_seen_at = Timestamp::now();
        let started = Instant::now();
        let prepared = {
            let members = &self.members;
            let sender = Sender {
                session: who.session,
                user: &who.user.id,
                declared: members.declared(who.session),
            };
            let shown = |client| {
                let session = self.awareness.owner(client)?;
                Some((session, members.user(session)?))
            };
            let may = |client| self.ownership.may(&sender, client, shown);
            self.document.prepare(&bytes, checked, may)
        };
        let prepared = prepared.map_err(|error| self.refusal(who, error))?;
        if prepared.is_nothing() {
            return Ok((prepared.visibility(), None));
        }
        let memory_bytes = prepared.memory_bytes();
        self.document.admits(bytes.len(), memory_bytes)?;
        let reservation = self
            .shared
            .store
            .log()
            .reserve(bytes.len())
            .ok_or(Error::StorageUnavailable)?;
        let news = self.document.news(checked);
        let applied = self.document.apply(&bytes, prepared);
        receipt.seat.charge(started.elapsed(), memory_bytes);
        let applied = applied.map_err(|error| self.refusal(who, error))?;
        let author = self.claim(who, &news, &applied);
        let accepted = accepted(bytes, &applied, who.session, author, reservation)?;
        Ok((applied.visibility, accepted))
    }

    /// Notes whose client id the update was typed with, if it was typed.
    fn claim(
        &mut self,
        who: &Participant,
        news: &[Advance],
        applied: &Applied,
    ) -> Option<Author> {
        let [advance] = news else { return None };
        if applied.integrated != Integrated::Whole {
            return None;
        }
        let sender = Sender {
            session: who.session,
            user: &who.user.id,
            declared: self.members.declared(who.session),
        };
        let shown = self.awareness.owner(advance.client);
        self.ownership.claim(&sender, *advance, shown)
    }

    /// What a client is told of an update that was not applied.
    fn refusal(&self, who: &Participant, error: ApplyError) -> Error {
        match error {
            ApplyError::Undecodable => invalid_update("cannot be decoded"),
            ApplyError::TooDeep => invalid_update("nests too deeply"),
            ApplyError::Torn => invalid_update("has neighbours in different types"),
            ApplyError::Contradiction => Error::Conflict {
                reason: "known clocks came with other content: the client id is not this client's alone",
            },
            ApplyError::TooCostly => Error::TooLarge {
                limit: self.shared.limits.update_bytes_max,
            },
            ApplyError::PendingFull => Error::Overloaded,
            ApplyError::Panicked => {
                self.shared.metrics.apply_panicked();
                error!(
                    session = who.session.0,
                    user = who.user.id.as_str(),
                    "an update broke the document; rebuilding it"
                );
                invalid_update("cannot be applied")
            }
        }
    }

    /// Relays what was accepted, then hands it to the log.
    pub(super) fn flush(&mut self, now: Instant) {
        let Some(record) = &self.record else { return };
        let document = record.id;
        let rows = turn::merged_rows(self.commits.take_accepted());
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
        self.commits
            .begin(rows.iter().map(|row| row.bytes.clone()).collect());
        let own = self.own.clone();
        let entry = Entry {
            rows: rows
                .into_iter()
                .map(|row| (row.bytes, row.reservation))
                .collect(),
            authors: Vec::new(),
        };
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
            Err(AppendError::Refused { .. }) => {
                append
                    .receipts
                    .into_iter()
                    .for_each(|receipt| receipt.refuse(Error::Internal));
                Box::pin(self.rebuild()).await;
            }
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
        match live::read_news(&self.shared, record.id, &mut self.document).await {
            Ok(updates) => {
                let now = Instant::now();
                for update in updates {
                    self.members.tell(Message::Update(update), None, now);
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
            match live::load(&self.shared, document, self.commits.unwritten()).await {
                Ok(replica) => break self.document = replica,
                Err(error) if self.shared.draining() => return self.close(error),
                Err(_) => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(Duration::from_secs(1));
        }
        info!(%document, "the document was rebuilt from its log");
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

/// What of an update is written and told; nothing if nothing came of it.
fn accepted(
    bytes: Bytes,
    applied: &Applied,
    from: SessionId,
    author: Option<Author>,
    reservation: Reservation,
) -> Result<Option<Accepted>> {
    let (message, audience) = match &applied.integrated {
        Integrated::Nothing => (None, Audience::Others),
        Integrated::Whole => (Some(bytes), Audience::Others),
        Integrated::Part(part) => (Some(part.clone().into()), Audience::Others),
        Integrated::More(more) => (Some(more.clone().into()), Audience::All),
    };
    let row = match (&message, &applied.held) {
        (None, None) => return Ok(None),
        (Some(message), None) => message.clone(),
        (None, Some(held)) => held.clone().into(),
        (Some(message), Some(held)) => {
            // The one is in the document and the other is not: they share nothing.
            let both: [&[u8]; 2] = [message, held];
            document::merge(&both).map_err(|_| Error::Internal)?.into()
        }
    };
    Ok(Some(Accepted {
        row,
        message,
        from,
        audience,
        author,
        reservation,
    }))
}

fn invalid_update(reason: &'static str) -> Error {
    Error::Invalid {
        field: "update",
        reason,
    }
}
