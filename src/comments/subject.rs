//! What a change is about: locked in the order that every transaction keeps, the document before the
//! thread, and checked for whether the caller may know of it.

use super::{
    COMMENTS_MAX, THREAD_BYTES_MAX,
    read::read_comment,
    text::{NO_COMMENT, NO_THREAD},
    thread::Comment,
};
use crate::{
    auth::{Claims, Right, Rights},
    error::{Error, Result},
    id::{CommentId, DocumentId, RoomName, ThreadId, UserId},
    store::{FromRow, Row, Transaction, args},
};

/// A document that is locked until the transaction ends.
pub(super) struct LockedDocument {
    pub(super) id: DocumentId,
    pub(super) room: RoomName,
    /// Its title, or the name of its room.
    pub(super) title: String,
}

/// A thread that is locked, with its document.
pub(super) struct LockedThread {
    pub(super) document: LockedDocument,
    pub(super) id: ThreadId,
    pub(super) is_resolved: bool,
    pub(super) created_by: UserId,
    pub(super) quote: Option<String>,
    /// The number of its comments, deleted ones included.
    pub(super) comments: i64,
    /// Their size, in bytes.
    pub(super) bytes: i64,
    /// The caller's rights, among them to view.
    pub(super) rights: Rights,
}

impl LockedDocument {
    /// Locks the document of a room.
    pub(super) async fn lock(tx: &Transaction, claims: &Claims, room: &RoomName) -> Result<Self> {
        tx.find_locked(
            "select document_id, room, title from document where team = $1 and room = $2",
            args![claims.team, room],
        )
        .await?
        .ok_or(Error::NO_DOCUMENT)
    }
}

impl LockedThread {
    /// Locks a thread and its document.
    ///
    /// # Errors
    /// [`NO_THREAD`], also where the caller may not view the document.
    pub(super) async fn lock(tx: &Transaction, claims: &Claims, id: ThreadId) -> Result<Self> {
        let of: Option<(DocumentId,)> = tx
            .find(
                "select document_id from thread where thread_id = $1",
                args![id],
            )
            .await?;
        let (document,) = of.ok_or(NO_THREAD)?;
        let document: Option<LockedDocument> = tx
            .find_locked(
                "select document_id, room, title from document
                 where document_id = $1 and team = $2",
                args![document, claims.team],
            )
            .await?;
        let document = document.ok_or(NO_THREAD)?;
        let rights = claims.rights_in(&document.room);
        rights.require(Right::View).map_err(|_| NO_THREAD)?;
        let found: Option<(bool, UserId, Option<String>, i64, i64)> = tx
            .find_locked(
                "select resolved, created_by, quote, comments, body_bytes from thread
                 where thread_id = $1",
                args![id],
            )
            .await?;
        let (is_resolved, created_by, quote, comments, bytes) = found.ok_or(NO_THREAD)?;
        Ok(Self {
            document,
            id,
            is_resolved,
            created_by,
            quote,
            comments,
            bytes,
            rights,
        })
    }

    /// Locks the thread of a comment that is not deleted, and reads the comment.
    ///
    /// # Errors
    /// [`NO_COMMENT`], also where the caller may not view the document.
    pub(super) async fn lock_of(
        tx: &Transaction,
        claims: &Claims,
        comment: CommentId,
    ) -> Result<(Self, Comment)> {
        let of: Option<(ThreadId,)> = tx
            .find(
                "select thread_id from comment where comment_id = $1",
                args![comment],
            )
            .await?;
        let (thread,) = of.ok_or(NO_COMMENT)?;
        let thread = match Self::lock(tx, claims, thread).await {
            Err(NO_THREAD) => return Err(NO_COMMENT),
            locked => locked?,
        };
        let comment = read_comment(tx, &claims.team, comment).await?;
        match comment.deleted_at {
            Some(_) => Err(NO_COMMENT),
            None => Ok((thread, comment)),
        }
    }

    /// Has the size of the thread's comments changed by `bytes`, and their number by `comments`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Conflict`] where it grows beyond its limits.
    pub(super) async fn grow(&self, tx: &Transaction, comments: i64, bytes: i64) -> Result<()> {
        if comments > 0 && self.comments + comments > COMMENTS_MAX {
            return Err(Error::Conflict {
                reason: "the thread has 500 comments: begin another one",
            });
        }
        if bytes > 0 && self.bytes + bytes > THREAD_BYTES_MAX as i64 {
            return Err(Error::TooLarge {
                limit: THREAD_BYTES_MAX,
            });
        }
        tx.execute(
            "update thread set comments = $2, body_bytes = $3 where thread_id = $1",
            args![self.id, self.comments + comments, self.bytes + bytes],
        )
        .await
        .map(drop)
    }
}

impl FromRow for LockedDocument {
    fn from_row(row: &Row) -> Result<Self> {
        let room: RoomName = row.get("room")?;
        let title: Option<String> = row.get("title")?;
        Ok(Self {
            id: row.get("document_id")?,
            title: title.unwrap_or_else(|| room.as_str().to_owned()),
            room,
        })
    }
}
