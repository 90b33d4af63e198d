//! What clients may ask of the features, whatever the door: a name, the fields of a request, and an
//! answer. The doors find the operation, and render its answer; the features check the rights.

mod comments;
mod description;
mod retention;

use serde::Serialize;
use serde_json::{Value, json};

pub use self::description::{
    AddComponents, Components, Description, Field, Schemas, about, without_null,
};
pub use crate::idempotency::FIELD as KEY;
use crate::{
    activity::{self, Activities},
    auth::Claims,
    comments::{
        Comment, Comments, Edit, Emoji, NewComment, NewThread, Page as ThreadPage,
        PageRequest as ThreadPageRequest, Thread,
    },
    error::{
        Error,
        ErrorCode::{Conflict, Forbidden, NotFound, TooLarge},
        Result,
    },
    id::{CommentId, MessageId, RoomName, ThreadId, Timestamp},
    idempotency::RequestKey,
    notifications::{self, Muted, Notifications, Publication, Recipients, Which},
    payload::Payload,
    revocations::{self, Revocations},
    webhooks::{self, Webhooks},
    workflow::{HistoryPage, HistoryRequest, State, Transition, Workflow},
};

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $name:ident = $wire:literal => $description:expr;)+) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Operation {
            /// All of them.
            pub const ALL: &[Operation] = &[$(Operation::$name),+];

            /// The name: a request of this name asks for it on a socket.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Operation::$name => $wire,)+
                }
            }

            /// What clients may know of it.
            pub fn description(self) -> Description {
                match self {
                    $(Operation::$name => $description.summary(concat!($($doc),+)),)+
                }
            }
        }
    };
}

operations! {
    /// Lists what happened in the team, the newest first.
    ActivityList = "activity_list" => about("activity")
        .takes::<activity::PageRequest>().pages().answers::<activity::Page>()
        .notes("An entry about a document is listed for those who may view it.")
        .needs("view, with a room").fails(&[Forbidden]);
    /// Tells the team of something that happened in another service.
    ActivityPublish = "activity_publish" => about("activity")
        .takes::<activity::Publication>().takes::<RequestKey>()
        .answers_with::<activity::Activity>("activity")
        .example(json!({
            "verb": "exported", "actor": { "id": "u-3", "name": "Ben Ode" }, "room": "article-42",
            "subject": { "format": "pdf" },
        }))
        .needs("publish").fails(&[Forbidden, NotFound, Conflict]);
    /// Lists the caller's notifications, the newest first.
    NotificationList = "notification_list" => about("notifications")
        .takes::<notifications::PageRequest>().pages().answers::<notifications::Page>();
    /// Marks notifications as read.
    NotificationRead = "notification_read" => about("notifications")
        .takes::<Which>().answers::<notifications::Read>().example(json!({ "all": true }))
        .notes("The request has ids, or all: true. Unknown ids are ignored.");
    /// Deletes notifications.
    NotificationDelete = "notification_delete" => about("notifications")
        .takes::<Which>().answers::<notifications::Read>().example(json!({ "all": true }))
        .notes("The request has ids, or all: true. Unknown ids are ignored.");
    /// Reads or sets which kinds are muted.
    NotificationPreferences = "notification_preferences" => about("notifications")
        .takes::<Muted>().example(json!({ "muted": ["reply"] })).answers::<notifications::Preferences>()
        .notes("Without muted it reads them.");
    /// Notifies people of something that happened in another service.
    NotificationPublish = "notification_publish" => about("notifications")
        .takes::<Recipients>().takes::<Publication>().takes::<RequestKey>()
        .answers::<notifications::Published>()
        .example(json!({
            "users": ["u-3", "u-17"], "kind": "export", "title": "The export is ready",
            "body": "Launch plan, as PDF", "room": "article-42", "url": "/exports/7",
        }))
        .notes("The request has one of user, users and team: true.")
        .needs("publish").fails(&[Forbidden, Conflict]);
    /// Ends the sessions of a login, or of a user.
    SessionRevoke = "session_revoke" => about("sessions")
        .takes::<revocations::Request>().takes::<RequestKey>()
        .answers_with::<revocations::Shown>("revocation")
        .example(json!({ "user": "u-17", "issued_before": "2026-01-31T12:00:00.000Z" }))
        .notes("The request has sid, or user.")
        .needs("publish").fails(&[Forbidden, Conflict]);
    /// Lists the messages to the main service that are not delivered, the oldest first.
    WebhookList = "webhook_list" => about("webhooks")
        .takes::<webhooks::PageRequest>().pages().answers::<webhooks::Page>()
        .needs("publish or manage").fails(&[Forbidden]);
    /// Has a failed message sent again.
    WebhookRetry = "webhook_retry" => about("webhooks")
        .field::<MessageId>("message_id")
        .needs("publish or manage").fails(&[Forbidden, NotFound]);
    /// Begins a thread of comments.
    ThreadCreate = "thread_create" => about("comments")
        .takes::<NewThread>().takes::<RequestKey>().answers_with::<Thread>("thread")
        .example(json!({
            "body": "Is this figure right?", "quote": "42 %", "mentions": ["u-3"],
            "anchor": { "start": "AAEHAA==", "end": "AAEH" },
        }))
        .needs("view and comment").fails(&[Forbidden, NotFound, Conflict, TooLarge]);
    /// Lists the threads of a document, the newest first.
    ThreadList = "thread_list" => about("comments")
        .takes::<ThreadPageRequest>().pages().answers::<ThreadPage>()
        .needs("view").fails(&[Forbidden, NotFound]);
    /// Reads one thread.
    ThreadGet = "thread_get" => about("comments")
        .field::<ThreadId>("thread_id").answers_with::<Thread>("thread")
        .needs("view").fails(&[NotFound]);
    /// Resolves a thread.
    ThreadResolve = "thread_resolve" => about("comments")
        .field::<ThreadId>("thread_id").answers_with::<Thread>("thread")
        .needs("comment or review").fails(&[Forbidden, NotFound]);
    /// Opens a resolved thread again.
    ThreadReopen = "thread_reopen" => about("comments")
        .field::<ThreadId>("thread_id").answers_with::<Thread>("thread")
        .needs("comment or review").fails(&[Forbidden, NotFound]);
    /// Deletes a thread.
    ThreadDelete = "thread_delete" => about("comments")
        .field::<ThreadId>("thread_id")
        .needs("manage, or to have begun it").fails(&[Forbidden, NotFound]);
    /// Adds a comment to a thread, which opens a resolved one again.
    CommentCreate = "comment_create" => about("comments")
        .takes::<NewComment>().takes::<RequestKey>().answers_with::<Comment>("comment")
        .example(json!({ "body": "It is, as of today.", "mentions": ["u-17"] }))
        .needs("comment").fails(&[Forbidden, NotFound, Conflict, TooLarge]);
    /// Gives a comment another text.
    CommentEdit = "comment_edit" => about("comments")
        .takes::<Edit>().answers_with::<Comment>("comment")
        .example(json!({ "body": "It is, as of yesterday." }))
        .needs("to be its author, with comment").fails(&[Forbidden, NotFound, Conflict, TooLarge]);
    /// Deletes a comment.
    CommentDelete = "comment_delete" => about("comments")
        .field::<CommentId>("comment_id")
        .needs("manage, or to be its author").fails(&[Forbidden, NotFound]);
    /// Reacts to a comment.
    ReactionAdd = "reaction_add" => about("comments")
        .field::<CommentId>("comment_id").field::<Emoji>("emoji")
        .answers_with::<Comment>("comment")
        .needs("comment").fails(&[Forbidden, NotFound, Conflict, TooLarge]);
    /// Takes a reaction back.
    ReactionRemove = "reaction_remove" => about("comments")
        .field::<CommentId>("comment_id").field::<Emoji>("emoji")
        .answers_with::<Comment>("comment")
        .needs("comment").fails(&[Forbidden, NotFound, Conflict, TooLarge]);
    /// Gets the status of a document in the workflow.
    WorkflowGet = "workflow_get" => about("workflow")
        .field::<RoomName>("room").answers_with::<State>("workflow")
        .needs("view").fails(&[Forbidden, NotFound]);
    /// Lists the steps that a document has taken, the newest first.
    WorkflowHistory = "workflow_history" => about("workflow")
        .takes::<HistoryRequest>().pages().answers::<HistoryPage>()
        .needs("view").fails(&[Forbidden, NotFound]);
    /// Moves a document to another status.
    WorkflowTransition = "workflow_transition" => about("workflow")
        .takes::<Transition>().takes::<RequestKey>().answers_with::<State>("workflow")
        .example(json!({ "from": "draft", "to": "in_review", "note": "Ready for a look." }))
        .notes("A step that the table does not have is a conflict, with allowed in the error.")
        .needs("view, and a right of the step").fails(&[Forbidden, NotFound, Conflict]);
}

impl Operation {
    /// The operation of this name.
    pub fn of(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|operation| operation.name() == name).copied()
    }
}

/// A call of an operation: by whom, with which fields, and when.
#[derive(Clone, Copy)]
struct Call<'a> {
    claims: &'a Claims,
    payload: &'a Payload,
    now: Timestamp,
}

/// The features that the operations call. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    /// What happened in the teams.
    pub activities: Activities,
    /// What people are notified of.
    pub notifications: Notifications,
    /// Which sessions were revoked.
    pub revocations: Revocations,
    /// What the main service is told of.
    pub webhooks: Webhooks,
    /// The threads of comments.
    pub comments: Comments,
    /// The statuses of documents.
    pub workflow: Workflow,
}

impl Operations {
    /// Carries out an operation for a caller at the time `now`. Returns the fields of the answer.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field that is not valid; otherwise as the feature.
    pub async fn call(
        &self,
        operation: Operation,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let call = Call {
            claims,
            payload,
            now,
        };
        match operation {
            Operation::ActivityList => {
                let request = activity::PageRequest::read(payload)?;
                answer(&self.activities.list(claims, &request).await?)
            }
            Operation::ActivityPublish => {
                let publication = activity::Publication::read(payload)?;
                let key = RequestKey::find(payload)?;
                let publish = self.activities.publish(claims, &publication, key, now);
                Ok(json!({ "activity": publish.await? }))
            }
            Operation::NotificationList => {
                let request = notifications::PageRequest::read(payload)?;
                answer(&self.notifications.list(claims, &request).await?)
            }
            Operation::NotificationRead => {
                let which = Which::read(payload)?;
                answer(&self.notifications.read(claims, &which, now).await?)
            }
            Operation::NotificationDelete => {
                let which = Which::read(payload)?;
                answer(&self.notifications.delete(claims, &which, now).await?)
            }
            Operation::NotificationPreferences => {
                let Muted { muted } = Muted::read(payload)?;
                answer(&self.notifications.preferences(claims, muted).await?)
            }
            Operation::NotificationPublish => {
                let publication = Publication::read(payload)?;
                let key = RequestKey::find(payload)?;
                let publish = self.notifications.publish(claims, &publication, key, now);
                answer(&publish.await?)
            }
            Operation::SessionRevoke => {
                let request = revocations::Request::read(payload, now)?;
                let key = RequestKey::find(payload)?;
                self.revocations.revoke(claims, &request, key, now).await
            }
            Operation::WebhookList => {
                let request = webhooks::PageRequest::read(payload)?;
                answer(&self.webhooks.list(claims, &request).await?)
            }
            Operation::WebhookRetry => {
                let id = payload.text("message_id")?;
                self.webhooks.retry(claims, id, now).await?;
                Ok(json!({}))
            }
            Operation::ThreadCreate => self.create_thread(call).await,
            Operation::ThreadList => self.list_threads(call).await,
            Operation::ThreadGet => self.get_thread(call).await,
            Operation::ThreadResolve => self.resolve_thread(call).await,
            Operation::ThreadReopen => self.reopen_thread(call).await,
            Operation::ThreadDelete => self.delete_thread(call).await,
            Operation::CommentCreate => self.create_comment(call).await,
            Operation::CommentEdit => self.edit_comment(call).await,
            Operation::CommentDelete => self.delete_comment(call).await,
            Operation::ReactionAdd => self.add_reaction(call).await,
            Operation::ReactionRemove => self.remove_reaction(call).await,
            Operation::WorkflowGet => {
                let room = payload.room()?;
                let state = self.workflow.get(claims, &room).await?;
                Ok(json!({ "workflow": state }))
            }
            Operation::WorkflowHistory => {
                let request = HistoryRequest::read(payload)?;
                answer(&self.workflow.history(claims, &request).await?)
            }
            Operation::WorkflowTransition => {
                let transition = Transition::read(payload)?;
                let key = RequestKey::find(payload)?;
                let moved = self.workflow.transition(claims, &transition, key, now);
                Ok(json!({ "workflow": moved.await? }))
            }
        }
    }
}

/// The fields of an answer.
fn answer(fields: &impl Serialize) -> Result<Value> {
    serde_json::to_value(fields).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Error::Internal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_found_by_its_name() {
        for operation in Operation::ALL {
            assert_eq!(Operation::of(operation.name()), Some(*operation));
        }
        assert_eq!(Operation::of("activity"), None);
    }
}
