//! A document as one caller sees it, and what that caller may do with it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    auth::{Claims, Permission, Right},
    id::UserId,
    store::Metadata,
};

/// A document's metadata as clients see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Document {
    /// What is stored.
    #[serde(flatten)]
    pub metadata: Metadata,
    /// The status in the workflow.
    pub status: String,
}

/// A document, as one caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Summary {
    /// The document.
    #[serde(flatten)]
    pub document: Document,
    /// The caller's permission.
    pub permission: Permission,
}

impl Document {
    /// The metadata with the status: `initial` where the document has taken no step.
    pub fn new(metadata: Metadata, initial: &str) -> Self {
        let status = metadata.status.as_ref();
        Self {
            status: status.map_or(initial, |status| &status.name).to_owned(),
            metadata,
        }
    }
}

impl Summary {
    /// The document as the caller sees it; `None` where the caller may not view it.
    pub(super) fn new(document: Document, claims: &Claims) -> Option<Self> {
        Some(Self {
            permission: claims.rights_in(&document.metadata.room).permission()?,
            document,
        })
    }
}

/// Whether the caller may delete the document: with the right to manage, or as its creator.
pub(super) fn may_delete(claims: &Claims, metadata: &Metadata) -> bool {
    claims.rights_in(&metadata.room).allows(Right::Manage)
        || metadata.created_by.id == claims.user.id
}

/// Whether the caller may restore the document from the trash: as for deleting it, or as the one
/// who deleted it.
pub(super) fn may_restore(
    claims: &Claims,
    metadata: &Metadata,
    deleted_by: Option<&UserId>,
) -> bool {
    deleted_by == Some(&claims.user.id) || may_delete(claims, metadata)
}
