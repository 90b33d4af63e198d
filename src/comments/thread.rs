//! Threads and comments, as clients see them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::anchor::StoredAnchor;
use crate::{
    auth::User,
    error::{Error, Result},
    id::{CommentId, RoomName, ThreadId, Timestamp, UserId},
};

/// A thread with its comments.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Thread {
    /// Its id.
    pub id: ThreadId,
    /// The document that it belongs to.
    pub room: RoomName,
    /// Whether it is resolved.
    pub status: Status,
    /// The text that it is about, if it is about a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<StoredAnchor>,
    /// That text when the thread was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<String>,
    /// Whether the text is gone from the document.
    pub orphaned: bool,
    /// Who began it.
    pub created_by: User,
    /// When it was begun.
    pub created_at: Timestamp,
    /// Who resolved it, if it is resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_by: Option<User>,
    /// When it was resolved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Timestamp>,
    /// Its comments, in the order in which they were written.
    pub comments: Vec<Comment>,
}

/// A comment in a thread.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Comment {
    /// Its id.
    pub id: CommentId,
    /// Its thread.
    pub thread_id: ThreadId,
    /// Who wrote it.
    pub author: User,
    /// Plain text; empty where it was deleted.
    pub body: String,
    /// The people whom it mentions.
    pub mentions: BTreeSet<UserId>,
    /// For each emoji who reacted with it, the first one first.
    pub reactions: BTreeMap<String, Vec<UserId>>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it was last edited, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Timestamp>,
    /// When it was deleted, if it was: only its place among the others is left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// Whether a thread is resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ThreadStatus)]
pub enum Status {
    /// It is not.
    Open,
    /// It is.
    Resolved,
}

impl Status {
    /// Parses a status.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `status`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "open" => Ok(Self::Open),
            "resolved" => Ok(Self::Resolved),
            _ => Err(Error::Invalid {
                field: "status",
                reason: "must be open or resolved",
            }),
        }
    }

    /// As the column `resolved` has it.
    pub(super) fn is_resolved(self) -> bool {
        self == Self::Resolved
    }

    pub(super) fn of(is_resolved: bool) -> Self {
        match is_resolved {
            true => Self::Resolved,
            false => Self::Open,
        }
    }
}

impl Comment {
    /// How much it adds to the size of its thread, in bytes.
    pub(super) fn weight(&self) -> i64 {
        let reactions = self.reactions.iter();
        let reactions = reactions.map(|(emoji, users)| {
            let users = users.iter().map(|user| reaction_weight(emoji, user));
            users.sum::<i64>()
        });
        text_weight(&self.body, &self.mentions) + reactions.sum::<i64>()
    }
}

/// How much a text with its mentions adds to the size of a thread, in bytes.
pub(super) fn text_weight(body: &str, mentions: &BTreeSet<UserId>) -> i64 {
    let mentions = mentions.iter().map(|user| user.as_str().len());
    // Both are limited to some kilobytes.
    (body.len() + mentions.sum::<usize>()) as i64
}

/// How much a reaction adds to the size of a thread, in bytes.
pub(super) fn reaction_weight(emoji: &str, user: &UserId) -> i64 {
    (emoji.len() + user.as_str().len()) as i64
}
