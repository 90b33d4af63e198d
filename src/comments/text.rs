//! The fields of requests, and the limits of what people write.

use std::collections::BTreeSet;
use utoipa::ToSchema;

use super::anchor::StoredAnchor;
use crate::{
    error::{Error, Result},
    id::{CommentId, RoomName, ThreadId, UserId},
    payload::Payload,
};

/// The longest text of a comment, in bytes: some pages of prose.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// The most people that one comment mentions: each is notified in the transaction of the comment.
const MENTIONS_MAX: usize = 50;
/// The longest quote, in bytes: enough to recognise a passage.
const QUOTE_BYTES_MAX: usize = 2 * 1024;

/// A thread that is to be created, with its first comment.
#[derive(Clone, Debug, ToSchema)]
pub struct NewThread {
    /// The document.
    pub(super) room: RoomName,
    /// The text that the thread is about, if it is about a text.
    pub(super) anchor: Option<StoredAnchor>,
    /// That text, as it was selected: at most 2,048 bytes.
    #[schema(max_length = 2048, examples("42 %"))]
    pub(super) quote: Option<String>,
    /// The first comment: plain text of 1 to 16,384 bytes, not only white space.
    #[schema(min_length = 1, max_length = 16384, examples("Is this figure right?"))]
    pub(super) body: String,
    /// The people whom it mentions, at most 50.
    #[schema(required = false, max_items = 50, examples(json!(["u-3"])))]
    pub(super) mentions: BTreeSet<UserId>,
}

/// A comment that is to be added to a thread.
#[derive(Clone, Debug, ToSchema)]
pub struct NewComment {
    /// The thread.
    #[schema(rename = "thread_id")]
    pub(super) thread: ThreadId,
    /// Plain text of 1 to 16,384 bytes, not only white space.
    #[schema(min_length = 1, max_length = 16384, examples("It is."))]
    pub(super) body: String,
    /// The people whom it mentions, at most 50.
    #[schema(required = false, max_items = 50)]
    pub(super) mentions: BTreeSet<UserId>,
}

/// Another text of a comment.
#[derive(Clone, Debug, ToSchema)]
pub struct Edit {
    /// The comment.
    #[schema(rename = "comment_id")]
    pub(super) comment: CommentId,
    /// Plain text of 1 to 16,384 bytes, not only white space.
    #[schema(min_length = 1, max_length = 16384, examples("It is right."))]
    pub(super) body: String,
    /// The people whom the new text mentions, at most 50; without it they stay as they are.
    #[schema(max_items = 50)]
    pub(super) mentions: Option<BTreeSet<UserId>>,
}

impl NewThread {
    /// Reads `room`, `body`, `anchor`, `quote` and `mentions`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid; [`Error::TooLarge`] for a body beyond
    /// 16 KiB, a quote beyond 2 KiB, and a position of the anchor beyond 1 KiB;
    /// [`Error::Conflict`] for more than 50 mentions.
    pub fn read(payload: &Payload) -> Result<Self> {
        let quote = payload.find_text("quote")?.unwrap_or_default();
        if quote.len() > QUOTE_BYTES_MAX {
            return Err(Error::TooLarge {
                limit: QUOTE_BYTES_MAX,
            });
        }
        Ok(Self {
            room: payload.room()?,
            anchor: StoredAnchor::find(payload)?,
            quote: (!quote.is_empty()).then(|| quote.to_owned()),
            body: body(payload)?,
            mentions: mentions(payload)?.unwrap_or_default(),
        })
    }
}

impl NewComment {
    /// Reads `thread_id`, `body` and `mentions`.
    ///
    /// # Errors
    /// As [`NewThread::read`], and as [`thread_id`].
    pub fn read(payload: &Payload) -> Result<Self> {
        Ok(Self {
            thread: thread_id(payload)?,
            body: body(payload)?,
            mentions: mentions(payload)?.unwrap_or_default(),
        })
    }
}

impl Edit {
    /// Reads `comment_id`, `body` and `mentions`.
    ///
    /// # Errors
    /// As [`NewThread::read`], and as [`comment_id`].
    pub fn read(payload: &Payload) -> Result<Self> {
        Ok(Self {
            comment: comment_id(payload)?,
            body: body(payload)?,
            mentions: mentions(payload)?,
        })
    }
}

/// The field `thread_id`.
///
/// # Errors
/// [`Error::Invalid`] with the field where it is absent or no text; [`Error::NotFound`] for a text
/// that no thread has as its id.
pub fn thread_id(payload: &Payload) -> Result<ThreadId> {
    ThreadId::parse(payload.text("thread_id")?).ok_or(NO_THREAD)
}

/// The field `comment_id`.
///
/// # Errors
/// As [`thread_id`].
pub fn comment_id(payload: &Payload) -> Result<CommentId> {
    CommentId::parse(payload.text("comment_id")?).ok_or(NO_COMMENT)
}

/// There is no such thread, or the caller may not know of it.
pub(super) const NO_THREAD: Error = Error::NotFound { what: "thread" };
/// There is no such comment, or the caller may not know of it.
pub(super) const NO_COMMENT: Error = Error::NotFound { what: "comment" };

fn body(payload: &Payload) -> Result<String> {
    let body = payload.text("body")?;
    if body.len() > BODY_BYTES_MAX {
        return Err(Error::TooLarge {
            limit: BODY_BYTES_MAX,
        });
    }
    if body.trim().is_empty() {
        return Err(Error::Invalid {
            field: "body",
            reason: "must not be empty",
        });
    }
    Ok(body.to_owned())
}

fn mentions(payload: &Payload) -> Result<Option<BTreeSet<UserId>>> {
    let mentions = payload.find_users("mentions")?;
    let count = mentions.as_ref().map_or(0, BTreeSet::len);
    if count > MENTIONS_MAX {
        return Err(Error::Conflict {
            reason: "a comment mentions at most 50 people",
        });
    }
    Ok(mentions)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(fields: &[(&str, Value)]) -> Result<NewThread> {
        let mut payload = Payload::default();
        payload.set("room", "article-42");
        payload.set("body", "text");
        for (name, value) in fields {
            payload.set(name, value.clone());
        }
        NewThread::read(&payload)
    }

    #[test]
    fn a_body_has_1_byte_to_16_kib_and_is_not_only_white_space() {
        for fits in ["x".to_owned(), " x\n".to_owned(), "é".repeat(8192)] {
            let thread = read(&[("body", json!(fits))]);
            assert_eq!(thread.expect("fits").body, fits, "it is kept as it is");
        }
        for bad in [
            json!(null),
            json!(7),
            json!(""),
            json!(" \n\t\u{a0}"),
            json!("a\0"),
        ] {
            let error = read(&[("body", bad.clone())]).expect_err("is refused");
            assert_eq!(error.field(), Some("body"), "{bad}");
        }
        let long = read(&[("body", json!("é".repeat(8193)))]);
        assert!(matches!(long, Err(Error::TooLarge { limit: 16_384 })));
    }

    #[test]
    fn mentions_and_quotes_are_limited() {
        let users = |count: usize| json!((0..count).map(|n| format!("u-{n}")).collect::<Vec<_>>());
        assert_eq!(
            read(&[("mentions", users(50))])
                .expect("fits")
                .mentions
                .len(),
            50
        );
        let many = read(&[("mentions", users(51))]);
        assert_eq!(many.expect_err("too many").code(), "conflict");
        let twice = json!(vec!["u-1"; 60]);
        assert_eq!(
            read(&[("mentions", twice)]).expect("fits").mentions.len(),
            1
        );
        assert_eq!(read(&[("quote", json!(""))]).expect("fits").quote, None);
        assert!(read(&[("quote", json!("q".repeat(2048)))]).is_ok());
        let long = read(&[("quote", json!("q".repeat(2049)))]);
        assert!(matches!(long, Err(Error::TooLarge { limit: 2048 })));
    }

    #[test]
    fn an_id_that_is_a_text_but_no_id_is_not_found() {
        let mut payload = Payload::default();
        payload.set("thread_id", "nonsense");
        assert_eq!(thread_id(&payload), Err(NO_THREAD));
        payload.set("thread_id", 7);
        assert_eq!(
            thread_id(&payload).expect_err("no text").field(),
            Some("thread_id")
        );
    }
}
