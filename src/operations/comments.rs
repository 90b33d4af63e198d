//! The operations of threads and comments: the fields of a request, and those of its answer.

use serde_json::{Value, json};

use super::{Operations, answer};
use crate::{
    auth::Claims,
    comments::{Edit, Emoji, NewComment, NewThread, PageRequest, comment_id, thread_id},
    error::Result,
    id::Timestamp,
    idempotency::RequestKey,
    payload::Payload,
};

impl Operations {
    pub(super) async fn create_thread(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let (new, key) = (NewThread::read(payload)?, RequestKey::find(payload)?);
        let created = self.comments.create_thread(claims, &new, key, now);
        Ok(json!({ "thread": created.await? }))
    }

    pub(super) async fn list_threads(&self, claims: &Claims, payload: &Payload) -> Result<Value> {
        let request = PageRequest::read(payload)?;
        answer(&self.comments.list(claims, &request).await?)
    }

    pub(super) async fn get_thread(&self, claims: &Claims, payload: &Payload) -> Result<Value> {
        let thread = self.comments.get(claims, thread_id(payload)?);
        Ok(json!({ "thread": thread.await? }))
    }

    pub(super) async fn resolve_thread(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let thread = self.comments.resolve(claims, thread_id(payload)?, now);
        Ok(json!({ "thread": thread.await? }))
    }

    pub(super) async fn reopen_thread(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let thread = self.comments.reopen(claims, thread_id(payload)?, now);
        Ok(json!({ "thread": thread.await? }))
    }

    pub(super) async fn delete_thread(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let thread = thread_id(payload)?;
        self.comments.delete_thread(claims, thread, now).await?;
        Ok(json!({}))
    }

    pub(super) async fn create_comment(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let (new, key) = (NewComment::read(payload)?, RequestKey::find(payload)?);
        let created = self.comments.create_comment(claims, &new, key, now);
        Ok(json!({ "comment": created.await? }))
    }

    pub(super) async fn edit_comment(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let edit = Edit::read(payload)?;
        let edited = self.comments.edit_comment(claims, &edit, now);
        Ok(json!({ "comment": edited.await? }))
    }

    pub(super) async fn delete_comment(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let comment = comment_id(payload)?;
        self.comments.delete_comment(claims, comment, now).await?;
        Ok(json!({}))
    }

    pub(super) async fn add_reaction(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let (comment, emoji) = (comment_id(payload)?, Emoji::read(payload)?);
        let added = self.comments.add_reaction(claims, comment, &emoji, now);
        Ok(json!({ "comment": added.await? }))
    }

    pub(super) async fn remove_reaction(
        &self,
        claims: &Claims,
        payload: &Payload,
        now: Timestamp,
    ) -> Result<Value> {
        let (comment, emoji) = (comment_id(payload)?, Emoji::read(payload)?);
        let removed = self.comments.remove_reaction(claims, comment, &emoji, now);
        Ok(json!({ "comment": removed.await? }))
    }
}
