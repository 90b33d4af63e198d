//! The operations of threads and comments: the fields of a request, and those of its answer.

use serde_json::{Value, json};

use super::{Call, Operations, answer};
use crate::{
    comments::{Edit, Emoji, NewComment, NewThread, PageRequest, comment_id, thread_id},
    error::Result,
    idempotency::RequestKey,
};

impl Operations {
    pub(super) async fn create_thread(&self, call: Call<'_>) -> Result<Value> {
        let (new, key) = (
            NewThread::read(call.payload)?,
            RequestKey::find(call.payload)?,
        );
        let created = self
            .comments
            .create_thread(call.claims, &new, key, call.now);
        Ok(json!({ "thread": created.await? }))
    }

    pub(super) async fn list_threads(&self, call: Call<'_>) -> Result<Value> {
        let request = PageRequest::read(call.payload)?;
        answer(&self.comments.list(call.claims, &request).await?)
    }

    pub(super) async fn get_thread(&self, call: Call<'_>) -> Result<Value> {
        let thread = self.comments.get(call.claims, thread_id(call.payload)?);
        Ok(json!({ "thread": thread.await? }))
    }

    pub(super) async fn resolve_thread(&self, call: Call<'_>) -> Result<Value> {
        let id = thread_id(call.payload)?;
        let thread = self.comments.resolve(call.claims, id, call.now);
        Ok(json!({ "thread": thread.await? }))
    }

    pub(super) async fn reopen_thread(&self, call: Call<'_>) -> Result<Value> {
        let id = thread_id(call.payload)?;
        let thread = self.comments.reopen(call.claims, id, call.now);
        Ok(json!({ "thread": thread.await? }))
    }

    pub(super) async fn delete_thread(&self, call: Call<'_>) -> Result<Value> {
        let id = thread_id(call.payload)?;
        let deleted = self.comments.delete_thread(call.claims, id, call.now);
        deleted.await.map(|()| json!({}))
    }

    pub(super) async fn create_comment(&self, call: Call<'_>) -> Result<Value> {
        let (new, key) = (
            NewComment::read(call.payload)?,
            RequestKey::find(call.payload)?,
        );
        let created = self
            .comments
            .create_comment(call.claims, &new, key, call.now);
        Ok(json!({ "comment": created.await? }))
    }

    pub(super) async fn edit_comment(&self, call: Call<'_>) -> Result<Value> {
        let edit = Edit::read(call.payload)?;
        let edited = self.comments.edit_comment(call.claims, &edit, call.now);
        Ok(json!({ "comment": edited.await? }))
    }

    pub(super) async fn delete_comment(&self, call: Call<'_>) -> Result<Value> {
        let id = comment_id(call.payload)?;
        let deleted = self.comments.delete_comment(call.claims, id, call.now);
        deleted.await.map(|()| json!({}))
    }

    pub(super) async fn add_reaction(&self, call: Call<'_>) -> Result<Value> {
        let (id, emoji) = (comment_id(call.payload)?, Emoji::read(call.payload)?);
        let added = self
            .comments
            .add_reaction(call.claims, id, &emoji, call.now);
        Ok(json!({ "comment": added.await? }))
    }

    pub(super) async fn remove_reaction(&self, call: Call<'_>) -> Result<Value> {
        let (id, emoji) = (comment_id(call.payload)?, Emoji::read(call.payload)?);
        let removed = self
            .comments
            .remove_reaction(call.claims, id, &emoji, call.now);
        Ok(json!({ "comment": removed.await? }))
    }
}
