//! The store of Hocuspocus: a table with a row for each document, which its extension SQLite has written, or an
//! application's own functions in its extension Database.
//!
//! The content is `Y.encodeStateAsUpdate(document)`, one update of encoding v1.

use std::path::Path;

use bytes::Bytes;

use super::{
    ImportError,
    contents::{Contents, Listed, Name},
    refusal::Refusal,
};
use crate::store::{ForeignTable, TableNames};

/// The table, opened for reading.
pub(super) struct Hocuspocus {
    table: ForeignTable,
}

impl Hocuspocus {
    /// Opens the table in a Postgres (`postgres://…`) or in a SQLite file, also as `sqlite://…`.
    pub(super) async fn open(database: &str, names: &TableNames) -> Result<Self, ImportError> {
        let is_postgres = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| database.starts_with(scheme));
        let table = match is_postgres {
            true => ForeignTable::open_postgres(database, names).await?,
            false => {
                let path = database.strip_prefix("sqlite://").unwrap_or(database);
                ForeignTable::open_sqlite(Path::new(path), names).await?
            }
        };
        Ok(Self { table })
    }

    pub(super) async fn list(&self) -> Result<Listed, ImportError> {
        let names = self.table.names().await?;
        let mut names: Vec<Name> = names
            .into_iter()
            .map(|name| match name {
                Some(name) => Name::Is(name),
                None => Name::Unreadable("null".into(), "its row has no name"),
            })
            .collect();
        names.dedup();
        Ok(Listed {
            names,
            damages: Vec::new(),
        })
    }

    pub(super) async fn read(&self, name: &str) -> Result<Result<Contents, Refusal>, ImportError> {
        let damaged = |reason: &str| Ok(Err(Refusal::Damaged(reason.into())));
        match self.table.content(name).await?.as_slice() {
            [] => damaged("its row is gone"),
            // Hocuspocus takes null, as well as nothing, for an empty document.
            [content] => Ok(Ok(Contents {
                updates: content
                    .iter()
                    .filter(|update| !update.is_empty())
                    .map(Bytes::clone)
                    .collect(),
                ..Contents::default()
            })),
            _ => damaged("several rows have its name"),
        }
    }
}
