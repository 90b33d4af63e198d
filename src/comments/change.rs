//! Resolving, reopening and deleting threads; editing and deleting comments.

use serde_json::{Value, json};

use super::{
    Comments, Edit,
    create::{record, reopen},
    events,
    notices::{Happening, Kind, Recipients, participants},
    read::{read_comment, read_thread},
    subject::LockedThread,
    text::NO_THREAD,
    thread::{Comment, text_weight},
};
use crate::{
    auth::{Claims, Right, Rights},
    error::{Error, Result},
    id::{CommentId, RoomName, ThreadId, Timestamp, UserId},
    store::{Json, Transaction, args},
};

impl Comments {
    /// Resolves a thread; returns the [`Thread`](super::Thread). A resolved one stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the caller may not know of the thread; [`Error::Forbidden`]
    /// without the right to comment or to review; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn resolve(&self, claims: &Claims, id: ThreadId, now: Timestamp) -> Result<Value> {
        let orphaned = self.is_thread_orphaned(claims, id).await?;
        let resolved = self.store.transact(async |tx| {
            let thread = LockedThread::lock(&tx, claims, id).await?;
            require_comment_or_review(thread.rights)?;
            let room = &thread.document.room;
            if thread.is_resolved {
                let unchanged = read_thread(&tx, &claims.team, room, id, orphaned).await?;
                return Ok(json!(unchanged));
            }
            tx.execute(
                "update thread set resolved = $2, resolved_by = $3, resolved_at = $4
                 where thread_id = $1",
                args![id, true, claims.user.id, now],
            )
            .await?;
            tx.note_person(&claims.team, &claims.user, now).await?;
            let resolved = read_thread(&tx, &claims.team, room, id, orphaned).await?;
            tx.publish(&claims.team, now, &events::thread_updated(&resolved)?)?;
            let quote = thread.quote.as_deref();
            let subject = (id, None, quote);
            record(&tx, claims, &thread.document, "resolved", subject, now).await?;
            let mut bodies = resolved.comments.iter().map(|comment| &comment.body);
            let first = bodies.find(|body| !body.is_empty());
            let happening = Happening {
                claims,
                document: &thread.document,
                thread: id,
                text: quote.or(first.map(String::as_str)).unwrap_or_default(),
                at: now,
            };
            let mut to = Recipients::default();
            let others = participants(&tx, id, &thread.created_by, &claims.user.id).await?;
            to.add(others, Kind::Resolved);
            self.notify(&tx, &happening, &to).await?;
            Ok(json!(resolved))
        });
        resolved.await
    }

    /// Opens a resolved thread again; returns the [`Thread`](super::Thread). An open one stays as
    /// it is.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn reopen(&self, claims: &Claims, id: ThreadId, now: Timestamp) -> Result<Value> {
        let orphaned = self.is_thread_orphaned(claims, id).await?;
        let reopened = self.store.transact(async |tx| {
            let thread = LockedThread::lock(&tx, claims, id).await?;
            require_comment_or_review(thread.rights)?;
            if thread.is_resolved {
                return reopen(&tx, claims, &thread, orphaned, now).await;
            }
            let room = &thread.document.room;
            Ok(json!(
                read_thread(&tx, &claims.team, room, id, orphaned).await?
            ))
        });
        reopened.await
    }

    /// Deletes a thread with its comments.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the caller may not know of the thread; [`Error::Forbidden`] for
    /// who has neither begun it nor the right to manage; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn delete_thread(&self, claims: &Claims, id: ThreadId, now: Timestamp) -> Result<()> {
        let deleted = self.store.transact(async |tx| {
            let thread = LockedThread::lock(&tx, claims, id).await?;
            require_own(claims, thread.rights, &thread.created_by)?;
            delete_thread(&tx, claims, &thread.document.room, id, now).await
        });
        deleted.await
    }

    /// Gives a comment of the caller another text; returns the [`Comment`]. People
    /// whom it did not mention before are notified.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the comment is deleted or the caller may not know of it;
    /// [`Error::Forbidden`] where it is another person's; [`Error::TooLarge`] where the thread has
    /// as much text as it may have; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn edit_comment(
        &self,
        claims: &Claims,
        edit: &Edit,
        now: Timestamp,
    ) -> Result<Value> {
        let edited = self.store.transact(async |tx| {
            let (thread, before) = LockedThread::lock_of(&tx, claims, edit.comment).await?;
            if before.author.id != claims.user.id {
                return Err(NOT_ITS_AUTHOR);
            }
            let mentions = edit.mentions.as_ref().unwrap_or(&before.mentions);
            if (&before.body, &before.mentions) == (&edit.body, mentions) {
                return Ok(json!(before));
            }
            let weight_before = text_weight(&before.body, &before.mentions);
            let growth = text_weight(&edit.body, mentions) - weight_before;
            thread.grow(&tx, 0, growth).await?;
            tx.execute(
                "update comment set body = $2, mentions = $3, edited_at = $4
                 where comment_id = $1",
                args![edit.comment, edit.body, Json(mentions), now],
            )
            .await?;
            let (team, document) = (&claims.team, &thread.document);
            let comment = read_comment(&tx, team, edit.comment).await?;
            let updated = events::comment_updated(&document.room, &comment)?;
            tx.publish(team, now, &updated)?;
            let happening = Happening {
                claims,
                document,
                thread: thread.id,
                text: &edit.body,
                at: now,
            };
            let mut to = Recipients::default();
            let new = mentions.difference(&before.mentions);
            to.add(new.cloned(), Kind::Mention);
            self.notify(&tx, &happening, &to).await?;
            Ok(json!(comment))
        });
        edited.await
    }

    /// Deletes a comment: its place among the others is left, without text. With the last one the
    /// thread is deleted.
    ///
    /// # Errors
    /// As [`delete_thread`](Self::delete_thread), for the author of the comment.
    pub async fn delete_comment(
        &self,
        claims: &Claims,
        id: CommentId,
        now: Timestamp,
    ) -> Result<()> {
        let deleted = self.store.transact(async |tx| {
            let (thread, comment) = LockedThread::lock_of(&tx, claims, id).await?;
            require_own(claims, thread.rights, &comment.author.id)?;
            let room = &thread.document.room;
            let event = events::comment_deleted(room, thread.id, id)?;
            tx.publish(&claims.team, now, &event)?;
            let other: Option<(CommentId,)> = tx
                .find(
                    "select comment_id from comment
                     where thread_id = $1 and comment_id <> $2 and deleted_at is null limit 1",
                    args![thread.id, id],
                )
                .await?;
            match other {
                Some(_) => bury(&tx, &thread, &comment, now).await,
                None => delete_thread(&tx, claims, room, thread.id, now).await,
            }
        });
        deleted.await
    }
}

/// Leaves nothing of a comment but its place.
async fn bury(
    tx: &Transaction,
    thread: &LockedThread,
    comment: &Comment,
    now: Timestamp,
) -> Result<()> {
    let id = comment.id;
    thread.grow(tx, 0, -comment.weight()).await?;
    tx.execute("delete from reaction where comment_id = $1", args![id])
        .await?;
    tx.execute(
        "update comment set body = '', mentions = $2, edited_at = null, deleted_at = $3
         where comment_id = $1",
        args![id, json!([]), now],
    )
    .await
    .map(drop)
}

async fn delete_thread(
    tx: &Transaction,
    claims: &Claims,
    room: &RoomName,
    id: ThreadId,
    now: Timestamp,
) -> Result<()> {
    let deleted = tx
        .execute("delete from thread where thread_id = $1", args![id])
        .await?;
    if deleted == 0 {
        return Err(NO_THREAD);
    }
    tx.publish(&claims.team, now, &events::thread_deleted(room, id)?)
}

const NOT_ITS_AUTHOR: Error = Error::Forbidden {
    needed: "author of the comment",
};

fn require_comment_or_review(rights: Rights) -> Result<()> {
    match rights.allows(Right::Review) {
        true => Ok(()),
        false => rights.require(Right::Comment),
    }
}

/// Checks that the caller is the author, or may manage the document.
fn require_own(claims: &Claims, rights: Rights, author: &UserId) -> Result<()> {
    match claims.user.id == *author {
        true => Ok(()),
        false => rights.require(Right::Manage),
    }
}
