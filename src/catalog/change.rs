//! Creating, titling, deleting and restoring documents, each in one transaction with its event.

use std::sync::Arc;

use serde_json::json;

use super::{
    Catalog, Title, events, find_record,
    summary::{Summary, may_delete, may_restore},
    title::sort_key,
};
use crate::{
    activity::{self, NewActivity},
    auth::{Claims, Right, User},
    error::{Error, Result},
    id::{DocumentId, DocumentKey, RoomName, Timestamp, UserId},
    store::{DocumentRecord, Metadata, Transaction, args, metadata_columns, people},
};

/// The outcome of [`Catalog::put`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The document was created.
    Created,
    /// It existed before.
    Existed,
}

impl Catalog {
    /// Creates a document, or gives an existing one the title, if one is given.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the rights to view and to edit; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn put(
        &self,
        claims: &Claims,
        room: &RoomName,
        title: Option<Title>,
        now: Timestamp,
    ) -> Result<(Summary, Put)> {
        require_edit(claims, room)?;
        let key = claims.key(room);
        let (record, put) = self.create(&key, title.as_ref(), &claims.user, now).await?;
        if put == Put::Existed && title.is_some() {
            return Ok((self.set_title(claims, room, title, now).await?, put));
        }
        let metadata = Arc::unwrap_or_clone(record.metadata);
        Ok((self.summary(metadata, claims)?, put))
    }

    /// Gives a document a title, or takes it away.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the rights to view and to edit, [`Error::NotFound`]; otherwise
    /// as [`Store::transact`](crate::store::Store::transact).
    pub async fn set_title(
        &self,
        claims: &Claims,
        room: &RoomName,
        title: Option<Title>,
        now: Timestamp,
    ) -> Result<Summary> {
        require_edit(claims, room)?;
        let key = claims.key(room);
        let new = title.as_ref().map(Title::as_str);
        let changed = self.store.transact(async |tx| {
            let found: Option<(DocumentId, Option<String>)> = tx
                .find_locked(
                    "select document_id, title from document where team = $1 and room = $2",
                    args![key.team, key.room],
                )
                .await?;
            let (document, old) = found.ok_or(Error::NO_DOCUMENT)?;
            if old.as_deref() == new {
                return existing(&tx, &key).await;
            }
            tx.execute(
                "update document set title = $2, title_key = $3 where document_id = $1",
                args![document, new, sort_key(title.as_ref(), room)],
            )
            .await?;
            let record = existing(&tx, &key).await?;
            let event = events::titled(
                &self.document(Metadata::clone(&record.metadata)),
                &claims.user,
            )?;
            tx.publish(&key.team, now, &event)?;
            let new = NewActivity {
                team: &key.team,
                document: Some((record.metadata.document_id, &record.metadata.room)),
                verb: "renamed",
                actor: &claims.user,
                subject: Some(json!({ "title": new })),
                at: now,
            };
            activity::record(&tx, new).await?;
            Ok(record)
        });
        let metadata = Arc::unwrap_or_clone(changed.await?.metadata);
        self.summary(metadata, claims)
    }

    /// Moves a document to the trash. Its room is closed for everybody, and its name is free.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to view, or without the right to manage for a
    /// document that the caller did not create; [`Error::NotFound`]; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn delete(
        &self,
        claims: &Claims,
        room: &RoomName,
        now: Timestamp,
    ) -> Result<Summary> {
        claims.rights_in(room).require(Right::View)?;
        let deleted = self.store.transact(async |tx| {
            let found: Option<(DocumentId,)> = tx
                .find_locked(
                    "select document_id from document where team = $1 and room = $2",
                    args![claims.team, room],
                )
                .await?;
            let (document,) = found.ok_or(Error::NO_DOCUMENT)?;
            if !may_delete(claims, &by_id(&tx, document).await?) {
                return Err(MANAGE_IS_NEEDED);
            }
            tx.execute(
                "update document
                 set deleted_at = $2, deleted_by = $3, trash_team = team, trash_room = room,
                     team = '', room = document_id
                 where document_id = $1",
                args![document, now, claims.user.id],
            )
            .await?;
            let metadata = by_id(&tx, document).await?;
            let event = events::deleted(&self.document(metadata.clone()), &claims.user)?;
            tx.publish(&claims.team, now, &event)?;
            let new = NewActivity {
                team: &claims.team,
                document: Some((metadata.document_id, &metadata.room)),
                verb: "deleted",
                actor: &claims.user,
                subject: metadata
                    .title
                    .as_ref()
                    .map(|title| json!({ "title": title })),
                at: now,
            };
            activity::record(&tx, new).await?;
            Ok(metadata)
        });
        self.summary(deleted.await?, claims)
    }

    /// Restores a document from the trash: the one with this id, or the last one that was deleted
    /// under this name. It has its name, its id and its content again.
    ///
    /// # Errors
    /// [`Error::Forbidden`] without the right to view, or without the right to manage for a
    /// document that the caller neither created nor deleted; [`Error::NotFound`] where the trash
    /// does not have it; [`Error::Conflict`] where another document has the name; otherwise as
    /// [`Store::transact`](crate::store::Store::transact).
    pub async fn restore(
        &self,
        claims: &Claims,
        room: &RoomName,
        document: Option<DocumentId>,
        now: Timestamp,
    ) -> Result<Summary> {
        claims.rights_in(room).require(Right::View)?;
        let key = claims.key(room);
        let restored = self.store.transact(async |tx| {
            let found: Option<(DocumentId, Option<UserId>)> = tx
                .find_locked(
                    "select document_id, deleted_by from document
                     where trash_team = $1 and trash_room = $2 and deleted_at is not null
                     and ($3 is null or document_id = $3)
                     order by deleted_at desc, document_id desc limit 1",
                    args![key.team, key.room, document],
                )
                .await?;
            let (document, deleted_by) = found.ok_or(Error::NO_DOCUMENT)?;
            if !may_restore(claims, &by_id(&tx, document).await?, deleted_by.as_ref()) {
                return Err(MANAGE_IS_NEEDED);
            }
            if find_record(&tx, &key).await?.is_some() {
                return Err(NAME_IS_TAKEN);
            }
            tx.execute(
                "update document
                 set team = trash_team, room = trash_room, trash_team = null, trash_room = null,
                     deleted_at = null, deleted_by = null
                 where document_id = $1",
                args![document],
            )
            .await?;
            let record = existing(&tx, &key).await?;
            let event = events::created(
                &self.document(Metadata::clone(&record.metadata)),
                &claims.user,
            )?;
            tx.publish(&key.team, now, &event)?;
            let new = NewActivity {
                team: &key.team,
                document: Some((record.metadata.document_id, &record.metadata.room)),
                verb: "restored",
                actor: &claims.user,
                subject: None,
                at: now,
            };
            activity::record(&tx, new).await?;
            Ok(record)
        });
        match restored.await {
            Ok(record) => self.summary(Arc::unwrap_or_clone(record.metadata), claims),
            // Somebody else has taken the name at the same moment.
            Err(Error::Internal) if self.find(&key).await?.is_some() => Err(NAME_IS_TAKEN),
            Err(error) => Err(error),
        }
    }

    /// Creates the row of a document again, with its id, where the database has lost its creation: nothing happens if the row is
    /// there, also for a deleted document, or if another document has the name.
    ///
    /// # Errors
    /// As [`Store::transact`](crate::store::Store::transact).
    pub async fn recreate(&self, key: &DocumentKey, lost: &Metadata) -> Result<()> {
        let title = lost.title.as_deref().map(Title::parse).transpose()?;
        let created = self.store.transact(async |tx| {
            let (by, at) = (&lost.created_by, lost.created_at);
            let title_key = sort_key(title.as_ref(), &key.room);
            let created = tx
                .execute(
                    "insert into document (document_id, team, room, created_by, created_at,
                                           updated_at, title, title_key)
                     values ($1, $2, $3, $4, $5, $5, $6, $7)
                     on conflict do nothing",
                    args![
                        lost.document_id,
                        key.team,
                        key.room,
                        by.id,
                        at,
                        lost.title.as_deref(),
                        title_key
                    ],
                )
                .await?;
            if created > 0 {
                tx.note_person(&key.team, by, at).await?;
            }
            Ok(created)
        });
        if created.await? > 0 {
            let document = lost.document_id;
            tracing::warn!(%document, "the database had lost an open document: it was created again");
        }
        Ok(())
    }

    /// Creates a document, or finds the one that has the name already, also where several callers
    /// do so at once. The caller has checked that `by` may create it.
    ///
    /// # Errors
    /// As [`Store::transact`](crate::store::Store::transact).
    pub async fn create(
        &self,
        key: &DocumentKey,
        title: Option<&Title>,
        by: &User,
        now: Timestamp,
    ) -> Result<(DocumentRecord, Put)> {
        // No document may be created where the one that is not found may exist.
        if self.store.list_is_damaged()
            && let Some(found) = self.find(key).await?
        {
            return Ok((found, Put::Existed));
        }
        let id = DocumentId::generate();
        let created = self.store.transact(async |tx| {
            let title_key = sort_key(title, &key.room);
            let title = title.map(Title::as_str);
            let created = tx
                .execute(
                    "insert into document (document_id, team, room, created_by, created_at,
                                           updated_at, title, title_key)
                     values ($1, $2, $3, $4, $5, $5, $6, $7)
                     on conflict (team, room) do nothing",
                    args![id, key.team, key.room, by.id, now, title, title_key],
                )
                .await?;
            if created == 0 {
                return Ok((existing(&tx, key).await?, Put::Existed));
            }
            tx.note_person(&key.team, by, now).await?;
            let record = existing(&tx, key).await?;
            let event = events::created(&self.document(Metadata::clone(&record.metadata)), by)?;
            tx.publish(&key.team, now, &event)?;
            let new = NewActivity {
                team: &key.team,
                document: Some((record.metadata.document_id, &record.metadata.room)),
                verb: "created",
                actor: by,
                subject: title.map(|title| json!({ "title": title })),
                at: now,
            };
            activity::record(&tx, new).await?;
            Ok((record, Put::Created))
        });
        created.await
    }
}

const NAME_IS_TAKEN: Error = Error::Conflict {
    reason: "another document has this name",
};
const MANAGE_IS_NEEDED: Error = Error::Forbidden {
    needed: Right::Manage.name(),
};

fn require_edit(claims: &Claims, room: &RoomName) -> Result<()> {
    let rights = claims.rights_in(room);
    rights.require(Right::View)?;
    rights.require(Right::Edit)
}

/// The document of this name, which the transaction has locked or written.
async fn existing(tx: &Transaction, key: &DocumentKey) -> Result<DocumentRecord> {
    find_record(tx, key).await?.ok_or(Error::NO_DOCUMENT)
}

/// The metadata of a document, in the trash or not.
async fn by_id(tx: &Transaction, document: DocumentId) -> Result<Metadata> {
    let found = tx.find(
        concat!(
            "select ",
            metadata_columns!(),
            " from document ",
            people!(),
            " where document.document_id = $1"
        ),
        args![document],
    );
    found.await?.ok_or(Error::NO_DOCUMENT)
}
