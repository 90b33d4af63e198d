//! What clients may ask of the features, whatever the door: a name, the fields of a request, and an
//! answer. The doors find the operation, and render its answer; the features check the rights.

mod comments;
mod retention;

use serde::Serialize;
use serde_json::{Value, json};

pub use crate::idempotency::FIELD as KEY;
use crate::{
    activity::{self, Activities},
    auth::Claims,
    comments::Comments,
    error::{Error, Result},
    id::Timestamp,
    idempotency::RequestKey,
    notifications::{self, Notifications, Publication, Which},
    payload::Payload,
    revocations::{self, Revocations},
    webhooks::{self, Webhooks},
    workflow::{HistoryRequest, Transition, Workflow},
};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $wire:literal,)+) => {
        /// An operation.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation {
            $($(#[$doc])* $name,)+
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
        }
    };
}

operations! {
    /// Lists what happened in the team.
    ActivityList = "activity_list",
    /// Tells the team of something that happened in another service.
    ActivityPublish = "activity_publish",
    /// Lists the caller's notifications.
    NotificationList = "notification_list",
    /// Marks notifications as read.
    NotificationRead = "notification_read",
    /// Deletes notifications.
    NotificationDelete = "notification_delete",
    /// Reads or sets which kinds are muted.
    NotificationPreferences = "notification_preferences",
    /// Notifies people of something that happened in another service.
    NotificationPublish = "notification_publish",
    /// Ends the sessions of a login, or of a user.
    SessionRevoke = "session_revoke",
    /// Lists the messages to the main service that are not delivered.
    WebhookList = "webhook_list",
    /// Has a failed message sent again.
    WebhookRetry = "webhook_retry",
    /// Begins a thread of comments.
    ThreadCreate = "thread_create",
    /// Lists the threads of a document.
    ThreadList = "thread_list",
    /// Reads one thread.
    ThreadGet = "thread_get",
    /// Resolves a thread.
    ThreadResolve = "thread_resolve",
    /// Opens a resolved thread again.
    ThreadReopen = "thread_reopen",
    /// Deletes a thread.
    ThreadDelete = "thread_delete",
    /// Adds a comment to a thread.
    CommentCreate = "comment_create",
    /// Gives a comment another text.
    CommentEdit = "comment_edit",
    /// Deletes a comment.
    CommentDelete = "comment_delete",
    /// Reacts to a comment.
    ReactionAdd = "reaction_add",
    /// Takes a reaction back.
    ReactionRemove = "reaction_remove",
    /// Gets the status of a document in the workflow.
    WorkflowGet = "workflow_get",
    /// Lists the steps that a document has taken.
    WorkflowHistory = "workflow_history",
    /// Moves a document to another status.
    WorkflowTransition = "workflow_transition",
}

impl Operation {
    /// The operation of this name.
    pub fn of(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|operation| operation.name() == name).copied()
    }
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
                let muted = payload.find_texts("muted")?;
                let muted = muted.map(|kinds| kinds.into_iter().map(str::to_owned).collect());
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
            Operation::ThreadCreate => self.create_thread(claims, payload, now).await,
            Operation::ThreadList => self.list_threads(claims, payload).await,
            Operation::ThreadGet => self.get_thread(claims, payload).await,
            Operation::ThreadResolve => self.resolve_thread(claims, payload, now).await,
            Operation::ThreadReopen => self.reopen_thread(claims, payload, now).await,
            Operation::ThreadDelete => self.delete_thread(claims, payload, now).await,
            Operation::CommentCreate => self.create_comment(claims, payload, now).await,
            Operation::CommentEdit => self.edit_comment(claims, payload, now).await,
            Operation::CommentDelete => self.delete_comment(claims, payload, now).await,
            Operation::ReactionAdd => self.add_reaction(claims, payload, now).await,
            Operation::ReactionRemove => self.remove_reaction(claims, payload, now).await,
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
