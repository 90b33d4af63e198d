//! Notifying people within the transaction of a feature: the statements are the same few for one
//! person and for many.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{NOTIFICATION, Notice, Notification, Notifications, Told, inbox::Inbox};
use crate::{
    bus::{Audience, Event},
    error::Result,
    id::{NotificationId, Team, UserId},
    store::{Transaction, args},
};

/// What one person is notified of.
struct News<'a> {
    user: &'a UserId,
    notice: &'a Notice<'a>,
    notification: Notification,
}

impl Notifications {
    /// Notifies people of `team` within the transaction of a feature, which has locked the rows of
    /// the document before. Each is notified once: of the first of `notices` that is for this person.
    ///
    /// The number of statements depends on that of the notices and not on that of the people, whose
    /// inboxes stay locked until the commit.
    ///
    /// # Errors
    /// As [`Transaction::execute`].
    pub async fn notify(
        &self,
        tx: &Transaction,
        team: &Team,
        notices: &[Notice<'_>],
    ) -> Result<()> {
        for notice in notices {
            if let Some(actor) = notice.actor {
                tx.note_person(team, actor, notice.at).await?;
            }
        }
        let recipients = recipients(notices);
        if recipients.is_empty() {
            return Ok(());
        }
        let inboxes = Inbox::lock_all(tx, team, recipients.keys().copied()).await?;
        let mut news = Vec::new();
        for (number, notice) in notices.iter().enumerate() {
            let hears = |user: &UserId| {
                let inbox = inboxes.get(user);
                inbox.is_some_and(|inbox| !inbox.mutes(notice.kind))
            };
            let of_notice = recipients
                .iter()
                .filter(|(user, of)| **of == number && hears(user));
            let users = of_notice.map(|(&user, _)| user).collect();
            news.extend(put(tx, team, notice, users).await?);
        }
        let new = news.iter().filter(|news| news.is_new());
        Inbox::add_unread(tx, team, new.map(|news| news.user)).await?;
        let unread = news.iter().map(|news| {
            let before = inboxes.get(news.user).map_or(0, |inbox| inbox.unread);
            (news.user, before + i64::from(news.is_new()))
        });
        let unread = self.unread_of_users(tx, team, unread.collect()).await?;
        for news in &news {
            let unread = unread.get(news.user).copied().unwrap_or_default();
            tx.publish(team, news.notice.at, &news.event(unread)?)?;
        }
        Ok(())
    }
}

impl News<'_> {
    /// Whether nothing was folded into it.
    fn is_new(&self) -> bool {
        self.notification.count == 1
    }

    /// What the person's tabs and devices are told.
    fn event(&self, unread: i64) -> Result<Event> {
        let told = Told {
            notification: &self.notification,
            unread,
        };
        let event = Event::new(NOTIFICATION, vec![Audience::User(self.user.clone())], &told)?;
        Ok(match self.notice.room {
            Some(room) => event.about(room),
            None => event,
        })
    }
}

/// The number of the notice of which each person is notified. The people are in the order of their
/// ids.
fn recipients<'a>(notices: &'a [Notice<'_>]) -> BTreeMap<&'a UserId, usize> {
    let mut recipients = BTreeMap::new();
    for (number, notice) in notices.iter().enumerate() {
        let is_actor = |user: &UserId| notice.actor.is_some_and(|actor| actor.id == *user);
        for user in notice.to.iter().filter(|user| !is_actor(user)) {
            recipients.entry(user).or_insert(number);
        }
    }
    recipients
}

/// Writes the notifications of `users`, whose inboxes are locked: adds `notice` to the unread
/// notification of the same kind and subject of those who have one.
async fn put<'a>(
    tx: &Transaction,
    team: &Team,
    notice: &'a Notice<'a>,
    users: BTreeSet<&'a UserId>,
) -> Result<Vec<News<'a>>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let ids = users.iter().map(|user| {
        let id = NotificationId::generate().to_string();
        json!([user.as_str(), id])
    });
    let rows: Vec<(UserId, NotificationId, i64)> = tx
        .list(
            "insert into notification (notification_id, team, user_id, kind, subject, title, body,
                                       room, thread_id, actor_id, url, created_at)
             select given.value ->> 1, $1, given.value ->> 0, $2, $3, $4, $5, $6, $7, $8, $9, $10
             from json_each($11) as given where true
             on conflict (team, user_id, kind, subject) where read_at is null do update
             set count = notification.count + 1, title = excluded.title, body = excluded.body,
                 actor_id = excluded.actor_id, url = excluded.url,
                 created_at = excluded.created_at,
                 thread_id = coalesce(excluded.thread_id, notification.thread_id)
             returning user_id, notification_id, count",
            args![
                team,
                notice.kind,
                notice.subject,
                notice.title,
                notice.body,
                notice.room,
                notice.thread,
                notice.actor.map(|actor| &actor.id),
                notice.url,
                notice.at,
                ids.collect::<Value>()
            ],
        )
        .await?;
    let news = rows.into_iter().filter_map(|(user, id, count)| {
        let user = users.get(&user).copied()?;
        let notification = notice.as_notification(id, count);
        Some(News {
            user,
            notice,
            notification,
        })
    });
    Ok(news.collect())
}

impl Notice<'_> {
    fn as_notification(&self, id: NotificationId, count: i64) -> Notification {
        Notification {
            id,
            kind: self.kind.to_owned(),
            title: self.title.to_owned(),
            body: self.body.map(str::to_owned),
            room: self.room.cloned(),
            thread_id: self.thread,
            actor: self.actor.cloned(),
            url: self.url.map(str::to_owned),
            created_at: self.at,
            read_at: None,
            count,
        }
    }
}
