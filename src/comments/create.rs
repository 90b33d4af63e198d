//! Creating threads, and adding comments to them.

use serde_json::{Value, json};

use super::{
    Comments, NewComment, NewThread, THREADS_MAX, events,
    notices::{Happening, Kind, Recipients, participants},
    read::{read_comment, read_thread},
    subject::{LockedDocument, LockedThread},
    thread::text_weight,
};
use crate::{
    activity::{self, NewActivity},
    auth::{Claims, Right},
    error::{Error, Result},
    id::{CommentId, ThreadId, Timestamp},
    idempotency::{RequestKey, once},
    store::{Json, Transaction, args},
    webhooks::NewMessage,
};

impl Comments {
    /// Begins a thread with its first comment; returns the [`Thread`](super::Thread). A request with
    /// the key of an earlier one returns that one's.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the rights to view and to comment; [`Error::NotFound`] without
    /// a document; [`Error::Conflict`] where the document has as many threads as it may have;
    /// otherwise as [`Store::transact`](crate::store::Store::transact).
    pub async fn create_thread(
        &self,
        claims: &Claims,
        new: &NewThread,
        key: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<Value> {
        let rights = claims.rights_in(&new.room);
        rights.require(Right::View)?;
        rights.require(Right::Comment)?;
        let anchor = new.anchor.as_ref();
        let orphaned = self.is_orphaned(claims, &new.room, anchor).await;
        let created = self.store.transact(async |tx| {
            let create = async || self.insert_thread(&tx, claims, new, orphaned, now).await;
            once(&tx, claims, "thread_create", key.as_ref(), now, create).await
        });
        created.await
    }

    async fn insert_thread(
        &self,
        tx: &Transaction,
        claims: &Claims,
        new: &NewThread,
        orphaned: bool,
        now: Timestamp,
    ) -> Result<Value> {
        let document = LockedDocument::lock(tx, claims, &new.room).await?;
        let threads: Option<(i64,)> = tx
            .find(
                "select count(*) from thread where document_id = $1",
                args![document.id],
            )
            .await?;
        if threads.is_none_or(|(threads,)| threads >= THREADS_MAX) {
            return Err(Error::Conflict {
                reason: "the document has 20,000 threads",
            });
        }
        let (team, id) = (&claims.team, ThreadId::generate());
        let anchor = new.anchor.as_ref();
        tx.execute(
            "insert into thread (thread_id, document_id, anchor_start, anchor_end, quote,
                                 created_by, created_at, comments, body_bytes)
             values ($1, $2, $3, $4, $5, $6, $7, 1, $8)",
            args![
                id,
                document.id,
                anchor.map(|anchor| anchor.start.as_slice()),
                anchor.map(|anchor| anchor.end.as_slice()),
                new.quote,
                claims.user.id,
                now,
                text_weight(&new.body, &new.mentions)
            ],
        )
        .await?;
        let first = NewComment {
            thread: id,
            body: new.body.clone(),
            mentions: new.mentions.clone(),
        };
        let comment = insert_comment(tx, claims, &first, now).await?;
        tx.note_person(team, &claims.user, now).await?;
        let thread = read_thread(tx, team, &new.room, id, orphaned).await?;
        tx.publish(team, now, &events::thread_created(&thread)?)?;
        let data = json!({ "thread": thread });
        self.tell_service(tx, claims, &document, "thread.created", data, now)
            .await?;
        let quote = new.quote.as_deref();
        record(
            tx,
            claims,
            &document,
            "commented",
            (id, Some(comment), quote),
            now,
        )
        .await?;
        let happening = Happening {
            claims,
            document: &document,
            thread: id,
            text: &new.body,
            at: now,
        };
        let mut to = Recipients::default();
        to.add(new.mentions.iter().cloned(), Kind::Mention);
        self.notify(tx, &happening, &to).await?;
        Ok(json!(thread))
    }

    /// Adds a comment to a thread, which opens a resolved one again; returns the
    /// [`Comment`](super::Comment). A request with the key of an earlier one returns that one's.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the caller may not know of the thread; [`Error::Forbidden`]
    /// without the right to comment; [`Error::Conflict`] and [`Error::TooLarge`] where the thread
    /// has as many comments, or as much text, as it may have; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn create_comment(
        &self,
        claims: &Claims,
        new: &NewComment,
        key: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<Value> {
        let orphaned = self.is_thread_orphaned(claims, new.thread).await?;
        let created = self.store.transact(async |tx| {
            let create = async || self.insert_reply(&tx, claims, new, orphaned, now).await;
            once(&tx, claims, "comment_create", key.as_ref(), now, create).await
        });
        created.await
    }

    async fn insert_reply(
        &self,
        tx: &Transaction,
        claims: &Claims,
        new: &NewComment,
        orphaned: bool,
        now: Timestamp,
    ) -> Result<Value> {
        let thread = LockedThread::lock(tx, claims, new.thread).await?;
        thread.rights.require(Right::Comment)?;
        let weight = text_weight(&new.body, &new.mentions);
        thread.grow(tx, 1, weight).await?;
        let (document, me) = (&thread.document, &claims.user.id);
        let others = participants(tx, thread.id, &thread.created_by, me).await?;
        let id = insert_comment(tx, claims, new, now).await?;
        tx.note_person(&claims.team, &claims.user, now).await?;
        let comment = read_comment(tx, &claims.team, id).await?;
        let created = events::comment_created(&document.room, &comment)?;
        tx.publish(&claims.team, now, &created)?;
        let data = json!({ "comment": comment });
        self.tell_service(tx, claims, document, "comment.created", data, now)
            .await?;
        let subject = (thread.id, Some(id), thread.quote.as_deref());
        record(tx, claims, document, "replied", subject, now).await?;
        if thread.is_resolved {
            reopen(tx, claims, &thread, orphaned, now).await?;
        }
        let happening = Happening {
            claims,
            document,
            thread: thread.id,
            text: &new.body,
            at: now,
        };
        let mut to = Recipients::default();
        to.add(new.mentions.iter().cloned(), Kind::Mention);
        to.add(others, Kind::Reply);
        self.notify(tx, &happening, &to).await?;
        Ok(json!(comment))
    }
}

impl Comments {
    /// Writes a message to the main service.
    async fn tell_service(
        &self,
        tx: &Transaction,
        claims: &Claims,
        document: &LockedDocument,
        kind: &'static str,
        data: Value,
        at: Timestamp,
    ) -> Result<()> {
        let message = NewMessage {
            team: &claims.team,
            document: document.id,
            room: &document.room,
            kind,
            data,
            at,
        };
        self.webhooks.write(tx, message).await
    }
}

/// Opens a resolved thread again, with its event and its entry in the activity.
pub(super) async fn reopen(
    tx: &Transaction,
    claims: &Claims,
    thread: &LockedThread,
    orphaned: bool,
    now: Timestamp,
) -> Result<Value> {
    tx.execute(
        "update thread set resolved = $2, resolved_by = null, resolved_at = null
         where thread_id = $1",
        args![thread.id, false],
    )
    .await?;
    let (team, document) = (&claims.team, &thread.document);
    let reopened = read_thread(tx, team, &document.room, thread.id, orphaned).await?;
    tx.publish(team, now, &events::thread_updated(&reopened)?)?;
    let subject = (thread.id, None, thread.quote.as_deref());
    record(tx, claims, document, "reopened", subject, now).await?;
    Ok(json!(reopened))
}

/// Records in the activity what the caller has done with a thread: its id, the comment, the quote.
pub(super) async fn record(
    tx: &Transaction,
    claims: &Claims,
    document: &LockedDocument,
    verb: &'static str,
    (thread, comment, quote): (ThreadId, Option<CommentId>, Option<&str>),
    at: Timestamp,
) -> Result<()> {
    let mut subject = json!({ "thread_id": thread });
    if let Some(comment) = comment {
        subject["comment_id"] = json!(comment);
    }
    if let Some(quote) = quote {
        subject["quote"] = json!(quote);
    }
    let new = NewActivity {
        team: &claims.team,
        document: Some((document.id, &document.room)),
        verb,
        actor: &claims.user,
        subject: Some(subject),
        at,
    };
    activity::record(tx, new).await.map(drop)
}

async fn insert_comment(
    tx: &Transaction,
    claims: &Claims,
    new: &NewComment,
    now: Timestamp,
) -> Result<CommentId> {
    let id = CommentId::generate();
    tx.execute(
        "insert into comment (comment_id, thread_id, author_id, body, mentions, created_at)
         values ($1, $2, $3, $4, $5, $6)",
        args![
            id,
            new.thread,
            claims.user.id,
            new.body,
            Json(&new.mentions),
            now
        ],
    )
    .await?;
    Ok(id)
}
