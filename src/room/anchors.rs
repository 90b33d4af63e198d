//! Questions about anchors: which of the texts that threads refer to are gone from the document.
//!
//! The room answers them between two commands of its members, so each takes a few milliseconds at
//! most: what it leaves out is asked again. Few questions are asked at once.

use std::{sync::Arc, time::Duration};

use document::Anchor;
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Acked, Answer, Audiences, Command, Peer, RoomHandle, Rooms, Ticket,
    core::{Phase, RoomCore},
    heavy::run_heavy,
    members::PeerHandle,
    open_document::OpenDocument,
};
use crate::{
    auth::Claims,
    error::{Error, Result},
    id::{RoomName, SessionId},
    session::Identity,
};

/// How long all questions of one caller may take, with the opening of the document.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The processor time that one answer may take; the members of the room wait meanwhile.
const TIME_PER_ANSWER: Duration = Duration::from_millis(2);

const TICKET: Ticket = Ticket {
    request: "anchors",
    id: None,
};

impl Rooms {
    /// For each of `anchors`, in their order, whether its text is gone from the live document
    /// ([`document::Document::are_gone`]). The document is opened if it is not. What cannot be
    /// answered within two seconds counts as not gone.
    pub async fn are_gone(
        &self,
        claims: &Claims,
        room: &RoomName,
        mut anchors: Vec<Anchor>,
    ) -> Vec<bool> {
        let all = anchors.len();
        let mut gone = Vec::with_capacity(all);
        let answered = timeout(ANSWER_TIMEOUT, async {
            while !anchors.is_empty() {
                // The semaphore is never closed.
                let _permit = self.questions().acquire().await;
                let handle = self.open(&claims.key(room))?;
                let mut answered = ask(&handle, claims, anchors.clone()).await?;
                if answered.is_empty() {
                    answered.push(false);
                }
                anchors.drain(..answered.len().min(anchors.len()));
                gone.extend(answered);
            }
            Ok::<(), Error>(())
        });
        if !matches!(answered.await, Ok(Ok(()))) {
            tracing::debug!("the anchors of threads were not looked for in time");
        }
        gone.resize(all, false);
        gone
    }
}

/// Asks once; the answer may be shorter than `anchors`.
async fn ask(room: &RoomHandle, claims: &Claims, anchors: Vec<Anchor>) -> Result<Vec<bool>> {
    let (reply, replied) = oneshot::channel();
    let peer = Arc::new(Question {
        // No session has this id.
        identity: Identity::new(SessionId(0), &claims.team, claims.user.clone()),
        reply: Mutex::new(Some(reply)),
    });
    room.send(Command::Anchors {
        peer,
        ticket: TICKET,
        of: anchors,
    })?;
    replied.await.unwrap_or(Err(Error::Internal))
}

/// One question, which receives only its answer.
struct Question {
    identity: Identity,
    reply: Mutex<Option<oneshot::Sender<Result<Vec<bool>>>>>,
}

impl Question {
    fn settle(&self, answer: Result<Vec<bool>>) {
        if let Some(sender) = self.reply.lock().take() {
            // This fails if nobody waits any more.
            let _ = sender.send(answer);
        }
    }
}

impl Peer for Question {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn accept(&self, _: Ticket, _: Acked) {}

    fn answer(&self, _: Ticket, answer: Answer) {
        self.settle(match answer {
            Answer::Gone(gone) => Ok(gone),
            Answer::Refused(error) => Err(error),
            Answer::Joined(_)
            | Answer::Synced(_)
            | Answer::StateVector(_)
            | Answer::Made(_)
            | Answer::Done => Err(Error::Internal),
        });
    }

    fn charge(&self, _: Duration, _: usize) {}

    fn cut(&self, _: &'static str) {
        self.settle(Err(Error::Overloaded));
    }

    fn sit(self: Arc<Self>, _: &mut Audiences) {}
}

impl<P: PeerHandle> RoomCore<P> {
    /// Answers which texts are gone.
    pub(super) fn find_gone(&mut self, peer: P, ticket: Ticket, anchors: &[Anchor]) {
        self.needed_at = self.now.instant;
        let answer = match (&self.metadata, self.phase) {
            (Some(_), Phase::Open) => Answer::Gone(self.document.are_gone(anchors)),
            (None, Phase::Open) => Answer::Refused(Error::NO_DOCUMENT),
            (_, Phase::Draining | Phase::Closed) => Answer::Refused(Error::Draining),
        };
        self.answer(peer, ticket, answer);
    }
}

impl OpenDocument {
    fn are_gone(&self, anchors: &[Anchor]) -> Vec<bool> {
        let size = self.encoded_bytes + self.added_bytes;
        run_heavy(size, || self.document.are_gone(anchors, TIME_PER_ANSWER))
    }
}
