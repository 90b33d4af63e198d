//! The activity of a team: one entry for each thing that matters to a colleague.
//!
//! ```text
//! record       writes an entry and its event, within the transaction of the feature
//! Activities   records that somebody edits, and lists entries by pages
//! ```
//! An entry says who did what to which document; its event `activity` goes to the members of the
//! team who may view the document. Edits are folded: one entry for each person and sitting. Entries
//! are kept for 90 days.

mod page;
mod publish;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use self::{
    page::{Page, PageRequest},
    publish::Publication,
};
use crate::{
    auth::User,
    bus::{Audience, Event},
    error::Result,
    id::{ActivityId, DocumentId, RoomName, Team, Timestamp},
    store::{Metadata, PagePermits, Store, Transaction, args},
};

/// The verb of edits.
const EDITED: &str = "edited";
/// The name of the event.
pub const ACTIVITY: &str = "activity";
/// A person who edits a document again within this time goes on with the same sitting.
pub const SITTING_MS: i64 = 30 * 60 * 1000;
/// How long entries are kept.
const KEPT_MS: i64 = 90 * 24 * 60 * 60 * 1000;
/// The most rows that one statement deletes: in SQLite the log's writer waits for it.
const TRIMMED_MAX: i64 = 200;

/// An entry of the activity.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Activity {
    /// Its id.
    pub id: ActivityId,
    /// What was done, in the past tense: `created`, `edited`, `commented`.
    #[schema(examples("commented"))]
    pub verb: String,
    /// Who did it.
    pub actor: User,
    /// The document that it is about, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomName>,
    /// What else is to be said of it, an object that depends on the verb.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub subject: Option<Value>,
    /// When it was done; of a sitting, when it began.
    pub at: Timestamp,
}

/// An entry that is to be recorded.
pub struct NewActivity<'a> {
    /// The team.
    pub team: &'a Team,
    /// The document that it is about, if any.
    pub document: Option<(DocumentId, &'a RoomName)>,
    /// As [`Activity::verb`].
    pub verb: &'a str,
    /// Who did it.
    pub actor: &'a User,
    /// As [`Activity::subject`].
    pub subject: Option<Value>,
    /// When it was done.
    pub at: Timestamp,
}

/// Records an entry in the transaction of a feature, and publishes its event.
///
/// # Errors
/// As [`Transaction::execute`].
pub async fn record(tx: &Transaction, new: NewActivity<'_>) -> Result<Activity> {
    let (document, room) = new.document.unzip();
    let activity = Activity {
        id: ActivityId::generate(),
        verb: new.verb.to_owned(),
        actor: new.actor.clone(),
        room: room.cloned(),
        subject: new.subject,
        at: new.at,
    };
    tx.note_person(new.team, new.actor, new.at).await?;
    tx.execute(
        "insert into activity (activity_id, team, document_id, room, verb, actor_id, subject, at,
                               last_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        args![
            activity.id,
            new.team,
            document,
            room,
            new.verb,
            new.actor.id,
            activity.subject,
            new.at
        ],
    )
    .await?;
    let event = Event::new(ACTIVITY, vec![Audience::Team], &activity)?;
    let event = match room {
        Some(room) => event.about(room),
        None => event,
    };
    // Many people edit, and nobody waits to read that they do.
    let event = match new.verb {
        EDITED => event.relaxed(),
        _ => event,
    };
    tx.publish(new.team, new.at, &event)?;
    Ok(activity)
}

/// The activity of all teams. Cheap to clone.
#[derive(Clone)]
pub struct Activities {
    store: Store,
    permits: PagePermits,
}

impl Activities {
    /// The activity in `store`.
    pub fn new(store: Store) -> Self {
        Self {
            store,
            permits: PagePermits::default(),
        }
    }

    /// The database of the entries.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Deletes entries whose last edit is older than 90 days at `now`, at most 200; returns how many.
    ///
    /// # Errors
    /// As [`Store::transact`].
    pub async fn trim(&self, now: Timestamp) -> Result<u64> {
        let oldest_kept = Timestamp(now.0 - KEPT_MS);
        let trimmed = self.store.transact(async |tx| {
            tx.execute(
                "delete from activity where activity_id in (
                     select activity_id from activity where last_at < $1 limit $2
                 )",
                args![oldest_kept, TRIMMED_MAX],
            )
            .await
        });
        trimmed.await
    }

    /// Records that `actors` edited a document at `at`: for each, continues the person's sitting, which
    /// is not told of again, or begins another one.
    ///
    /// # Errors
    /// As [`Store::transact`].
    pub async fn edited(
        &self,
        team: &Team,
        document: &Metadata,
        actors: &[User],
        at: Timestamp,
    ) -> Result<()> {
        if actors.is_empty() {
            return Ok(());
        }
        let id = document.document_id;
        let edited = self.store.transact(async |tx| {
            // A document that was deleted meanwhile has no activity of edits.
            let present: Option<(DocumentId,)> = tx
                .find_locked(
                    "select document_id from document where document_id = $1 and team = $2",
                    args![id, team],
                )
                .await?;
            if present.is_none() {
                return Ok(());
            }
            for actor in actors {
                sat(&tx, team, document, actor, at).await?;
            }
            Ok(())
        });
        edited.await
    }
}

/// Continues the sitting of `actor` at a document, or begins another one.
async fn sat(
    tx: &Transaction,
    team: &Team,
    document: &Metadata,
    actor: &User,
    at: Timestamp,
) -> Result<()> {
    let id = document.document_id;
    let continued = tx
        .execute(
            "update activity set last_at = $4
             where document_id = $1 and actor_id = $2 and verb = 'edited'
             and last_at > $3 and last_at <= $4",
            args![id, actor.id, Timestamp(at.0 - SITTING_MS), at],
        )
        .await?;
    if continued == 0 {
        let new = NewActivity {
            team,
            document: Some((id, &document.room)),
            verb: EDITED,
            actor,
            subject: None,
            at,
        };
        record(tx, new).await?;
    }
    Ok(())
}
