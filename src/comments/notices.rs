//! Who is notified of what: mentioned people, and those who take part in a thread.

use std::collections::{BTreeMap, BTreeSet};

use super::{Comments, subject::LockedDocument};
use crate::{
    auth::Claims,
    error::Result,
    id::{ThreadId, Timestamp, UserId},
    notifications::Notice,
    store::{Json, Transaction, args},
};

/// The most people who are notified because they take part in a thread: each inbox stays locked
/// until the commit. Those who took part last are preferred.
const PARTICIPANTS_MAX: usize = 50;
/// The most of the newest comments whose authors and mentioned people take part.
const RECENT_COMMENTS: i64 = 100;
/// The longest excerpt in a notification, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

/// A kind of notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Mention,
    Reply,
    Resolved,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Mention => "mention",
            Self::Reply => "reply",
            Self::Resolved => "thread_resolved",
        }
    }

    fn title(self, actor: &str, document: &str) -> String {
        match self {
            Self::Mention => format!("{actor} mentioned you in “{document}”"),
            Self::Reply => format!("{actor} replied in “{document}”"),
            Self::Resolved => format!("{actor} resolved a thread in “{document}”"),
        }
    }
}

/// What has happened in a thread.
pub(super) struct Happening<'a> {
    pub(super) claims: &'a Claims,
    pub(super) document: &'a LockedDocument,
    pub(super) thread: ThreadId,
    /// The text to show an excerpt of.
    pub(super) text: &'a str,
    pub(super) at: Timestamp,
}

/// Who is notified, each of one kind of thing.
#[derive(Default)]
pub(super) struct Recipients(BTreeMap<UserId, Kind>);

impl Recipients {
    /// Adds people who are to be notified of `kind`, unless they are of another one already.
    pub(super) fn add(&mut self, people: impl IntoIterator<Item = UserId>, kind: Kind) {
        for person in people {
            self.0.entry(person).or_insert(kind);
        }
    }

    fn by_kind(&self) -> BTreeMap<Kind, BTreeSet<UserId>> {
        let mut by_kind = BTreeMap::<Kind, BTreeSet<UserId>>::new();
        for (user, kind) in &self.0 {
            by_kind.entry(*kind).or_default().insert(user.clone());
        }
        by_kind
    }
}

impl Comments {
    /// Notifies people of what has happened in a thread.
    pub(super) async fn notify(
        &self,
        tx: &Transaction,
        happening: &Happening<'_>,
        to: &Recipients,
    ) -> Result<()> {
        let (claims, document) = (happening.claims, happening.document);
        let (subject, body) = (happening.thread.to_string(), excerpt(happening.text));
        let by_kind = to.by_kind().into_iter();
        let by_kind: Vec<_> = by_kind
            .map(|(kind, people)| (kind, people, kind.title(&claims.user.name, &document.title)))
            .collect();
        let notices = by_kind.iter().map(|(kind, people, title)| Notice {
            to: people,
            kind: kind.name(),
            subject: &subject,
            title,
            body: Some(&body),
            room: Some(&document.room),
            thread: Some(happening.thread),
            actor: Some(&claims.user),
            url: None,
            at: happening.at,
        });
        let notices: Vec<Notice<'_>> = notices.collect();
        self.notifications.notify(tx, &claims.team, &notices).await
    }
}

/// Those who take part in a thread, without `but`: who began it, and who commented or was mentioned
/// in it last.
pub(super) async fn participants(
    tx: &Transaction,
    thread: ThreadId,
    created_by: &UserId,
    but: &UserId,
) -> Result<BTreeSet<UserId>> {
    let recent: Vec<(UserId, Json<BTreeSet<UserId>>)> = tx
        .list(
            "select author_id, mentions from comment
             where thread_id = $1 and deleted_at is null
             order by comment_id desc limit $2",
            args![thread, RECENT_COMMENTS],
        )
        .await?;
    let recent = recent.into_iter();
    let recent =
        recent.flat_map(|(author, Json(mentions))| std::iter::once(author).chain(mentions));
    let mut people = BTreeSet::new();
    for person in std::iter::once(created_by.clone()).chain(recent) {
        if people.len() == PARTICIPANTS_MAX {
            break;
        }
        if person != *but {
            people.insert(person);
        }
    }
    Ok(people)
}

/// The beginning of `text` as one line.
fn excerpt(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(EXCERPT_CHARS_MAX) {
        None => line,
        Some(_) => {
            let kept = line.chars().take(EXCERPT_CHARS_MAX - 1);
            kept.chain(['…']).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> UserId {
        UserId::parse(id).expect("an id")
    }

    #[test]
    fn an_excerpt_is_one_line_of_at_most_200_characters() {
        assert_eq!(excerpt(" one\n\n two\t<b> "), "one two <b>");
        assert_eq!(excerpt(&"é".repeat(200)), "é".repeat(200));
        let cut = excerpt(&"🦀".repeat(201));
        assert_eq!((cut.chars().count(), cut.ends_with("🦀…")), (200, true));
    }

    #[test]
    fn everybody_is_notified_once_of_the_first_kind() {
        let mut to = Recipients::default();
        to.add([user("c"), user("a")], Kind::Mention);
        to.add([user("b"), user("c"), user("d")], Kind::Reply);
        let by_kind = to.by_kind().into_iter();
        let by_kind: Vec<_> = by_kind
            .map(|(kind, people)| (kind, people.into_iter().collect()))
            .collect();
        let expected = [
            (Kind::Mention, vec![user("a"), user("c")]),
            (Kind::Reply, vec![user("b"), user("d")]),
        ];
        assert_eq!(by_kind, expected);
    }
}
