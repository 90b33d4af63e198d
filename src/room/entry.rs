//! How members come, catch up, and go.

use std::sync::Arc;

use bytes::Bytes;
use document::StateVector;
use tokio::time::Instant;

use super::{
    Answer, Creation, Extent, Joined, Message, Outgoing, Seat, Synced, Ticket, load,
    task::{End, NOT_JOINED, Room},
};
use crate::{
    error::{Error, Result},
    id::{Seq, SessionId, Timestamp},
    store::DocumentRecord,
};

impl Room {
    pub(super) async fn join(
        &mut self,
        seat: Arc<dyn Seat>,
        ticket: Ticket,
        creation: Creation,
        theirs: Option<StateVector>,
    ) {
        let joined = match self.record(&seat, creation).await {
            Ok(record) => {
                let now = Timestamp::now();
                let declared = theirs.as_ref().map(|sv| self.document.lacks(sv));
                self.members
                    .admit(Arc::clone(&seat), declared.unwrap_or_default(), now);
                self.describe(&*seat, &record, theirs.as_ref())
            }
            Err(error) => Err(error),
        };
        match joined {
            Ok(joined) => seat.answer(ticket, Answer::Joined(Box::new(joined))),
            Err(error) => {
                self.leave(seat.participant().session);
                seat.answer(ticket, Answer::Refused(error));
            }
        }
    }

    /// The document's record; brings the document into being where that is allowed.
    async fn record(&mut self, seat: &Arc<dyn Seat>, creation: Creation) -> Result<DocumentRecord> {
        match (&self.record, creation) {
            _ if self.end != End::Open => Err(Error::Draining),
            (Some(record), _) => Ok(*record),
            (None, Creation::Forbidden) => Err(Error::NotFound { what: "document" }),
            (None, Creation::Allowed) => Box::pin(self.create(seat)).await,
        }
    }

    async fn create(&mut self, seat: &Arc<dyn Seat>) -> Result<DocumentRecord> {
        let by = &seat.participant().user.id;
        let store = &self.shared.store;
        let record = store
            .create_document(&self.key, by, Timestamp::now())
            .await?;
        if record.head_seq > Seq(0) {
            let opened = load::load(&self.shared, record.id, Vec::new()).await?;
            self.take_on(opened);
        }
        self.record = Some(record);
        Ok(record)
    }

    fn describe(
        &mut self,
        seat: &dyn Seat,
        record: &DocumentRecord,
        theirs: Option<&StateVector>,
    ) -> Result<Joined> {
        Ok(Joined {
            document: record.id,
            seq: self.document.durable(),
            state_vector: self.document.state_vector(),
            update: self.difference(seat, theirs)?,
            awareness: (!self.awareness.is_empty()).then(|| self.awareness.encode_all().into()),
            members: self.members.people(),
            storage: self.storage(),
        })
    }

    /// What a client that has `theirs` lacks.
    fn difference(&mut self, seat: &dyn Seat, theirs: Option<&StateVector>) -> Result<Bytes> {
        if seat.queued_bytes() > self.shared.limits.socket_queue_bytes_max {
            return Err(Error::Overloaded);
        }
        self.document
            .difference(theirs)
            .map_err(|_| Error::Internal)
    }

    pub(super) fn leave(&mut self, session: SessionId) {
        if !self.members.remove(session) {
            return;
        }
        self.ownership.release(session);
        let gone = self.awareness.remove_session(session);
        self.tell_gone(&gone);
        self.empty_since = Instant::now();
    }

    pub(super) fn sync(&mut self, seat: &Arc<dyn Seat>, ticket: Ticket, theirs: &StateVector) {
        let session = seat.participant().session;
        let answer = match self.members.find(session) {
            None => Err(NOT_JOINED),
            Some(_) => self.difference(&**seat, Some(theirs)),
        };
        match answer {
            Ok(update) => {
                let state_vector = self.document.state_vector();
                let synced = Synced {
                    update,
                    state_vector,
                    seq: self.document.durable(),
                };
                seat.answer(ticket, Answer::Synced(synced));
                let declared = self.document.lacks(theirs);
                self.members.synced(session, declared);
                if !self.awareness.is_empty() {
                    let everybody = Message::Awareness(self.awareness.encode_all().into());
                    seat.deliver(&Outgoing::new(everybody));
                    seat.flush(Extent::Many);
                }
            }
            Err(error) => seat.answer(ticket, Answer::Refused(error)),
        }
    }
}
