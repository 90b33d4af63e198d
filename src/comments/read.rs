//! Reads threads and comments from the database. Every statement finds its rows by an index.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Status,
    anchor::StoredAnchor,
    text::{NO_COMMENT, NO_THREAD},
    thread::{Comment, Thread},
};
use crate::{
    auth::User,
    error::Result,
    id::{CommentId, RoomName, Team, ThreadId, Timestamp, UserId},
    store::{Bind, FromRow, Json, Row, ToBind, Transaction, args},
};

/// A thread without its comments, and without its room.
pub(super) struct ThreadRow {
    pub(super) id: ThreadId,
    status: Status,
    pub(super) anchor: Option<StoredAnchor>,
    quote: Option<String>,
    created_by: User,
    created_at: Timestamp,
    resolved_by: Option<User>,
    resolved_at: Option<Timestamp>,
    /// The size of its comments, in bytes.
    pub(super) bytes: i64,
}

/// Selects a column of the person with the id in `$id`. Of the parameters, `$team` is the team.
macro_rules! of_person {
    ($column:literal, $team:literal, $id:literal) => {
        concat!(
            "(select ",
            $column,
            " from person where person.team = ",
            $team,
            " and person.user_id = ",
            $id,
            ")"
        )
    };
}

/// Selects threads. Of the parameters, `$1` is the team. [`pages`](crate::store::Window) has the
/// reasons for its form.
macro_rules! select_threads {
    ($which:literal) => {
        concat!(
            "select thread.thread_id, thread.resolved, thread.anchor_start, thread.anchor_end,
                    thread.quote, thread.created_at, thread.resolved_at, thread.body_bytes,
                    thread.created_by, thread.resolved_by, ",
            of_person!("person.name", "$1", "thread.created_by"),
            " as creator_name, ",
            of_person!("person.avatar_url", "$1", "thread.created_by"),
            " as creator_avatar, ",
            of_person!("person.name", "$1", "thread.resolved_by"),
            " as resolver_name, ",
            of_person!("person.avatar_url", "$1", "thread.resolved_by"),
            " as resolver_avatar
             from thread
             where ",
            $which
        )
    };
}

/// Selects comments, those of a thread in the order of their creation. The last parameter is the team.
macro_rules! select_comments {
    ($which:expr, $team:literal) => {
        concat!(
            "select comment.comment_id, comment.thread_id, comment.author_id, comment.body,
                    comment.mentions, comment.created_at, comment.edited_at, comment.deleted_at, ",
            of_person!("person.name", $team, "comment.author_id"),
            " as name, ",
            of_person!("person.avatar_url", $team, "comment.author_id"),
            " as avatar_url
             from comment
             where ",
            $which,
            " order by comment.comment_id"
        )
    };
}

/// Selects reactions, the first one first.
macro_rules! select_reactions {
    ($which:expr) => {
        concat!(
            "select reaction.comment_id, reaction.emoji, reaction.user_id
             from comment
             join reaction on reaction.comment_id = comment.comment_id
             where ",
            $which,
            " order by reaction.at, reaction.user_id"
        )
    };
}

/// The comments of `BATCH` threads.
macro_rules! of_batch {
    () => {
        "comment.thread_id in ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                               $17, $18, $19, $20, $21, $22, $23, $24, $25)"
    };
}

/// How many threads one statement reads the comments of.
const BATCH: usize = 25;

pub(super) use {of_person, select_threads};

type Reactions = HashMap<CommentId, BTreeMap<String, Vec<UserId>>>;

/// The thread, whose row exists, with its comments.
pub(super) async fn read_thread(
    tx: &Transaction,
    team: &Team,
    room: &RoomName,
    thread: ThreadId,
    orphaned: bool,
) -> Result<Thread> {
    let of_thread = select_threads!("thread.thread_id = $2");
    let row: Option<ThreadRow> = tx.find(of_thread, args![team, thread]).await?;
    let mut threads = [row.ok_or(NO_THREAD)?.with(room, orphaned)];
    read_comments(tx, team, &mut threads).await?;
    let [thread] = threads;
    Ok(thread)
}

/// The comment, whose row exists.
pub(super) async fn read_comment(
    tx: &Transaction,
    team: &Team,
    comment: CommentId,
) -> Result<Comment> {
    let of_comment = select_comments!("comment.comment_id = $1", "$2");
    let found: Option<Comment> = tx.find(of_comment, args![comment, team]).await?;
    let of_comment = select_reactions!("comment.comment_id = $1");
    let mut reactions = reactions_of(tx.list(of_comment, args![comment]).await?);
    let mut found = found.ok_or(NO_COMMENT)?;
    found.reactions = reactions.remove(&comment).unwrap_or_default();
    Ok(found)
}

/// Reads the comments of `threads`.
pub(super) async fn read_comments(
    tx: &Transaction,
    team: &Team,
    threads: &mut [Thread],
) -> Result<()> {
    for batch in threads.chunks_mut(BATCH) {
        let ids = batch.iter().map(|thread| thread.id);
        // A thread that is named several times is found once.
        let padded = ids.chain(std::iter::repeat(batch[0].id)).take(BATCH);
        let mut binds: Vec<Bind> = padded.map(|id| id.to_bind()).collect();
        let reactions = tx.list(select_reactions!(of_batch!()), binds.clone());
        let reactions = reactions_of(reactions.await?);
        binds.push(team.to_bind());
        let comments = tx.list(select_comments!(of_batch!(), "$26"), binds);
        distribute(batch, comments.await?, reactions);
    }
    Ok(())
}

fn reactions_of(rows: Vec<(CommentId, String, UserId)>) -> Reactions {
    let mut reactions = Reactions::new();
    for (comment, emoji, user) in rows {
        let of_comment = reactions.entry(comment).or_default();
        of_comment.entry(emoji).or_default().push(user);
    }
    reactions
}

/// Gives each thread its comments, and each comment its reactions.
fn distribute(threads: &mut [Thread], comments: Vec<Comment>, mut reactions: Reactions) {
    let places = threads.iter().enumerate();
    let places: HashMap<ThreadId, usize> = places.map(|(at, thread)| (thread.id, at)).collect();
    for mut comment in comments {
        comment.reactions = reactions.remove(&comment.id).unwrap_or_default();
        if let Some(at) = places.get(&comment.thread_id) {
            threads[*at].comments.push(comment);
        }
    }
}

impl ThreadRow {
    /// The thread in its room, without comments.
    pub(super) fn with(self, room: &RoomName, orphaned: bool) -> Thread {
        Thread {
            id: self.id,
            room: room.clone(),
            status: self.status,
            anchor: self.anchor,
            quote: self.quote,
            orphaned,
            created_by: self.created_by,
            created_at: self.created_at,
            resolved_by: self.resolved_by,
            resolved_at: self.resolved_at,
            comments: Vec::new(),
        }
    }
}

/// A person of whom a row has the id, and the table of people the name.
fn person(id: UserId, name: Option<String>, avatar_url: Option<String>) -> User {
    User {
        name: name.unwrap_or_else(|| id.as_str().to_owned()),
        avatar_url,
        id,
    }
}

impl FromRow for ThreadRow {
    fn from_row(row: &Row) -> Result<Self> {
        let ends: (Option<Vec<u8>>, Option<Vec<u8>>) =
            (row.get("anchor_start")?, row.get("anchor_end")?);
        let resolver: Option<UserId> = row.get("resolved_by")?;
        let (name, avatar_url) = (row.get("resolver_name")?, row.get("resolver_avatar")?);
        Ok(Self {
            id: row.get("thread_id")?,
            status: Status::of(row.get("resolved")?),
            anchor: match ends {
                (Some(start), Some(end)) => Some(StoredAnchor { start, end }),
                _ => None,
            },
            quote: row.get("quote")?,
            created_by: person(
                row.get("created_by")?,
                row.get("creator_name")?,
                row.get("creator_avatar")?,
            ),
            created_at: row.get("created_at")?,
            resolved_by: resolver.map(|id| person(id, name, avatar_url)),
            resolved_at: row.get("resolved_at")?,
            bytes: row.get("body_bytes")?,
        })
    }
}

impl FromRow for Comment {
    fn from_row(row: &Row) -> Result<Self> {
        let Json(mentions): Json<BTreeSet<UserId>> = row.get("mentions")?;
        Ok(Self {
            id: row.get("comment_id")?,
            thread_id: row.get("thread_id")?,
            author: person(
                row.get("author_id")?,
                row.get("name")?,
                row.get("avatar_url")?,
            ),
            body: row.get("body")?,
            mentions,
            reactions: BTreeMap::new(),
            created_at: row.get("created_at")?,
            edited_at: row.get("edited_at")?,
            deleted_at: row.get("deleted_at")?,
        })
    }
}
