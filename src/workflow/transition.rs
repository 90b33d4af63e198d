//! One step of a document, in one transaction with its activity, its notifications and its event.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Moved, Refusal, State, Workflow};
use crate::{
    activity::{self, NewActivity},
    auth::{Claims, Right, User},
    config::STATUS_BYTES_MAX,
    error::{Error, Result},
    id::{DocumentId, RoomName, StepId, Timestamp, UserId},
    idempotency::{RequestKey, once},
    notifications::Notice,
    payload::Payload,
    store::{Status, Transaction, args},
    webhooks::NewMessage,
};

/// The longest note, in bytes.
const NOTE_BYTES_MAX: usize = 2048;
/// The most people who are notified because they have moved the document before, the last ones, of
/// the most steps that are looked at. Each inbox is locked until the commit.
const MOVERS_MAX: usize = 50;
const STEPS_EXAMINED_MAX: usize = 1000;

/// A request to move a document to another status.
#[derive(Clone, Debug, ToSchema)]
pub struct Transition {
    /// The document's room.
    pub room: RoomName,
    /// The status to which it is to be moved: 1 to 64 bytes.
    #[schema(min_length = 1, max_length = 64, examples("in_review"))]
    pub to: String,
    /// The status that the caller has seen; without it, whatever the present one is.
    #[schema(min_length = 1, max_length = 64, examples("draft"))]
    pub from: Option<String>,
    /// What is to be said of it: plain text of at most 2,048 bytes.
    #[schema(max_length = 2048, examples("Ready for a look."))]
    pub note: Option<String>,
}

/// What the row of a document says; the transaction has locked it.
struct Locked {
    id: DocumentId,
    title: Option<String>,
    created_by: UserId,
    status: Option<String>,
    since: Option<Timestamp>,
}

impl Transition {
    /// Reads `room`, `to`, `from` and `note`. White space at the ends of the note is dropped.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid.
    pub fn read(payload: &Payload) -> Result<Self> {
        let room = payload.room()?;
        let to = status(payload.text("to")?, "to")?;
        let from = payload.find_text("from")?;
        let note = payload.find_text_within("note", NOTE_BYTES_MAX)?;
        let note = note.map(str::trim).filter(|note| !note.is_empty());
        Ok(Self {
            room,
            to,
            from: from.map(|from| status(from, "from")).transpose()?,
            note: note.map(str::to_owned),
        })
    }
}

fn status(name: &str, field: &'static str) -> Result<String> {
    let fits = (1..=STATUS_BYTES_MAX).contains(&name.len());
    if !fits || name.contains(char::is_control) {
        return Err(Error::Invalid {
            field,
            reason: "must be a status: 1 to 64 bytes without control characters",
        });
    }
    Ok(name.to_owned())
}

impl Workflow {
    /// Moves a document to another status; returns its [`State`]. Its team and the members of its
    /// room are told by `workflow_update`; its creator, and the last 50 people who moved it, are
    /// notified. A request with the key of an earlier one returns that one's state and moves
    /// nothing.
    ///
    /// Of several steps at once each is checked against the status that the one before has left.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to view, or without a right that the step needs;
    /// [`Error::NotFound`]; [`Error::NoStep`] where the table does not have the step, or the
    /// document is not at the status that the caller has seen; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn transition(
        &self,
        claims: &Claims,
        transition: &Transition,
        key: Option<RequestKey>,
        now: Timestamp,
    ) -> Result<Value> {
        claims.rights_in(&transition.room).require(Right::View)?;
        let moved = self.store.transact(async |tx| {
            let work = async || {
                let state = self.step(&tx, claims, transition, now).await?;
                Ok(json!(state))
            };
            once(&tx, claims, "workflow_transition", key.as_ref(), now, work).await
        });
        moved.await
    }

    /// Takes the step within the transaction `tx`.
    async fn step(
        &self,
        tx: &Transaction,
        claims: &Claims,
        transition: &Transition,
        now: Timestamp,
    ) -> Result<State> {
        let Transition { room, to, note, .. } = transition;
        let document = Locked::find(tx, claims, room).await?;
        let from = document.status.as_deref();
        let from = from.unwrap_or_else(|| self.machine.initial());
        self.admit(claims, transition, from)?;
        let moved = Moved {
            room,
            document_id: document.id,
            from,
            to,
            by: &claims.user,
            note: note.as_deref(),
            // Not before the last step, also where that was taken by another instance.
            at: document.since.map_or(now, |since| now.max(since)),
        };
        tx.execute(
            "update document set status = $2, status_since = $3, status_by = $4
             where document_id = $1",
            args![document.id, to, moved.at, claims.user.id],
        )
        .await?;
        let recipients = recipients(tx, &document).await?;
        insert(tx, &moved).await?;
        tx.publish(&claims.team, moved.at, &moved.event()?)?;
        let message = NewMessage {
            team: &claims.team,
            document: document.id,
            room,
            kind: "workflow.updated",
            data: json!({ "from": from, "to": to, "by": claims.user, "note": note }),
            at: moved.at,
        };
        self.webhooks.write(tx, message).await?;
        record(tx, claims, &moved).await?;
        let title = document.title.as_deref().unwrap_or(room.as_str());
        let title = format!("“{title}” is {}", to.replace('_', " "));
        let notice = Notice {
            to: &recipients,
            kind: "workflow",
            subject: room.as_str(),
            title: &title,
            body: note.as_deref(),
            room: Some(room),
            thread: None,
            actor: Some(&claims.user),
            url: None,
            at: moved.at,
        };
        let notices = [notice];
        self.notifications
            .notify(tx, &claims.team, &notices)
            .await?;
        let status = Status {
            name: to.clone(),
            since: moved.at,
            by: User::clone(&claims.user),
        };
        Ok(self.state_of(Some(status), moved.at, claims.rights_in(room)))
    }

    /// Checks that the caller may take the step from the present status, `from`.
    fn admit(&self, claims: &Claims, transition: &Transition, from: &str) -> Result<()> {
        let rights = claims.rights_in(&transition.room);
        let conflict = |reason| Error::NoStep {
            reason,
            allowed: self.machine.allowed(from, rights),
        };
        if transition.from.as_deref().is_some_and(|seen| seen != from) {
            return Err(conflict("the document has another status meanwhile"));
        }
        let checked = self.machine.check(from, &transition.to, rights);
        checked.map_err(|refusal| match refusal {
            Refusal::NoStep => conflict("the workflow has no such step from the present status"),
            Refusal::Needs(right) => Error::Forbidden {
                needed: right.name(),
            },
        })
    }
}

impl Locked {
    async fn find(tx: &Transaction, claims: &Claims, room: &RoomName) -> Result<Self> {
        let found = tx.find_locked(
            "select document_id, title, created_by, status, status_since from document
             where team = $1 and room = $2",
            args![claims.team, room],
        );
        let (id, title, created_by, status, since) = found.await?.ok_or(Error::NO_DOCUMENT)?;
        Ok(Self {
            id,
            title,
            created_by,
            status,
            since,
        })
    }
}

/// The document's creator, and the last people who moved it.
async fn recipients(tx: &Transaction, document: &Locked) -> Result<BTreeSet<UserId>> {
    let (steps_max, movers_max) = (STEPS_EXAMINED_MAX as i64, MOVERS_MAX as i64);
    let movers: Vec<(UserId,)> = tx
        .list(
            "select by_user from (
                 select by_user, step_id from workflow_step where document_id = $1
                 order by step_id desc limit $2
             ) as recent
             group by by_user order by max(step_id) desc limit $3",
            args![document.id, steps_max, movers_max],
        )
        .await?;
    let movers = movers.into_iter().map(|(user,)| user);
    Ok(movers.chain([document.created_by.clone()]).collect())
}

async fn insert(tx: &Transaction, moved: &Moved<'_>) -> Result<()> {
    tx.execute(
        "insert into workflow_step (step_id, document_id, from_status, to_status, by_user, note, at)
         values ($1, $2, $3, $4, $5, $6, $7)",
        args![
            StepId::generate(),
            moved.document_id,
            moved.from,
            moved.to,
            moved.by.id,
            moved.note,
            moved.at
        ],
    )
    .await
    .map(drop)
}

/// Records the step in the activity, which also notes the name of the actor.
async fn record(tx: &Transaction, claims: &Claims, moved: &Moved<'_>) -> Result<()> {
    let mut subject = json!({ "from": moved.from, "to": moved.to });
    if let Some(note) = moved.note {
        subject["note"] = note.into();
    }
    let new = NewActivity {
        team: &claims.team,
        document: Some((moved.document_id, moved.room)),
        verb: "moved",
        actor: moved.by,
        subject: Some(subject),
        at: moved.at,
    };
    activity::record(tx, new).await.map(drop)
}
