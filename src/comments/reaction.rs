//! Reactions to comments.

use serde_json::{Value, json};

use super::{
    Comments, Emoji, events,
    read::read_comment,
    subject::LockedThread,
    thread::{Comment, reaction_weight},
};
use crate::{
    auth::{Claims, Right},
    error::{Error, Result},
    id::{CommentId, Timestamp},
    store::{Transaction, args},
};

/// The most different emoji of a comment: what fits below it.
const EMOJI_MAX: usize = 20;

impl Comments {
    /// Adds a reaction of the caller; returns the [`Comment`]. One that is there
    /// stays as it is.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the comment is deleted or the caller may not know of it;
    /// [`Error::Forbidden`] without the right to comment; [`Error::Conflict`] and
    /// [`Error::TooLarge`] where the comment has 20 other emoji, or the thread as much text as it
    /// may have; otherwise as [`Store::transact`](crate::store::Store::transact).
    pub async fn add_reaction(
        &self,
        claims: &Claims,
        comment: CommentId,
        emoji: &Emoji,
        now: Timestamp,
    ) -> Result<Value> {
        let (emoji, me) = (emoji.as_str(), &claims.user.id);
        let added = self.store.transact(async |tx| {
            let (thread, before) = lock(&tx, claims, comment).await?;
            if has(&before, emoji, claims) {
                return Ok(json!(before));
            }
            if !before.reactions.contains_key(emoji) && before.reactions.len() >= EMOJI_MAX {
                return Err(Error::Conflict {
                    reason: "the comment has 20 different emoji",
                });
            }
            thread.grow(&tx, 0, reaction_weight(emoji, me)).await?;
            tx.execute(
                "insert into reaction (comment_id, emoji, user_id, at) values ($1, $2, $3, $4)",
                args![comment, emoji, me, now],
            )
            .await?;
            publish(&tx, claims, &thread, comment, now).await
        });
        added.await
    }

    /// Removes a reaction of the caller, if it is there; returns the [`Comment`].
    ///
    /// # Errors
    /// As [`add_reaction`](Self::add_reaction).
    pub async fn remove_reaction(
        &self,
        claims: &Claims,
        comment: CommentId,
        emoji: &Emoji,
        now: Timestamp,
    ) -> Result<Value> {
        let (emoji, me) = (emoji.as_str(), &claims.user.id);
        let removed = self.store.transact(async |tx| {
            let (thread, before) = lock(&tx, claims, comment).await?;
            if !has(&before, emoji, claims) {
                return Ok(json!(before));
            }
            thread.grow(&tx, 0, -reaction_weight(emoji, me)).await?;
            tx.execute(
                "delete from reaction where comment_id = $1 and emoji = $2 and user_id = $3",
                args![comment, emoji, me],
            )
            .await?;
            publish(&tx, claims, &thread, comment, now).await
        });
        removed.await
    }
}

async fn lock(
    tx: &Transaction,
    claims: &Claims,
    comment: CommentId,
) -> Result<(LockedThread, Comment)> {
    let (thread, comment) = LockedThread::lock_of(tx, claims, comment).await?;
    thread.rights.require(Right::Comment)?;
    Ok((thread, comment))
}

/// Whether the caller has reacted with this emoji.
fn has(comment: &Comment, emoji: &str, claims: &Claims) -> bool {
    let users = comment.reactions.get(emoji);
    users.is_some_and(|users| users.contains(&claims.user.id))
}

async fn publish(
    tx: &Transaction,
    claims: &Claims,
    thread: &LockedThread,
    comment: CommentId,
    now: Timestamp,
) -> Result<Value> {
    let comment = read_comment(tx, &claims.team, comment).await?;
    let event = events::comment_updated(&thread.document.room, &comment)?;
    tx.publish(&claims.team, now, &event)?;
    Ok(json!(comment))
}
