//! A document as one caller sees it, and what that caller may do with it.

use serde::Serialize;

use crate::{
    auth::{Claims, Permission, Right},
    id::UserId,
    store::Metadata,
};

/// A document, as one caller sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Its metadata.
    #[serde(flatten)]
    pub metadata: Metadata,
    /// The caller's permission.
    pub permission: Permission,
}

impl Summary {
    /// The document as the caller sees it; `None` where the caller may not view it.
    pub(super) fn new(metadata: Metadata, claims: &Claims) -> Option<Self> {
        Some(Self {
            permission: claims.rights_in(&metadata.room).permission()?,
            metadata,
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
