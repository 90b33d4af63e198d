//! The migrations of both databases, compiled into the binary.
//!
//! They are listed here because sqlx's `migrate!`, which reads the folder, compiles sqlx with both
//! drivers, SQLite's C code, tokio and rustls a second time, for the compiler.

use sqlx::{
    SqlSafeStr,
    migrate::{Migrate, Migration, MigrationType, Migrator},
};

/// The migrations of one database: version, description and statements of each.
type Migrations = &'static [(i64, &'static str, &'static str)];

/// The file of a migration has the same name for both databases: its version, and its
/// description with `_` for spaces.
macro_rules! migrations {
    ($(($version:literal, $description:literal, $file:literal),)+) => {
        const POSTGRES: Migrations = &[$((
            $version,
            $description,
            include_str!(concat!("../../migrations/postgres/", $file)),
        )),+];
        const SQLITE: Migrations = &[$((
            $version,
            $description,
            include_str!(concat!("../../migrations/sqlite/", $file)),
        )),+];
    };
}

migrations![
    (1, "document", "0001_document.sql"),
    (2, "document updated at", "0002_document_updated_at.sql"),
    (3, "author", "0003_author.sql"),
    (4, "event", "0004_event.sql"),
    (5, "document metadata", "0005_document_metadata.sql"),
    (6, "collaboration", "0006_collaboration.sql"),
    (7, "sessions", "0007_sessions.sql"),
    (8, "list indexes", "0008_list_indexes.sql"),
    (9, "person index", "0009_person_index.sql"),
    (10, "log history", "0010_log_history.sql"),
];

/// The migrations of Postgres.
pub(super) fn postgres() -> Migrator {
    migrator(POSTGRES)
}

/// The migrations of SQLite.
pub(super) fn sqlite() -> Migrator {
    migrator(SQLITE)
}

/// Whether the database has all migrations of `migrator`, as they are here; `false` also if that cannot be read. Needs only the right
/// to read the table in which sqlx notes them.
pub(super) async fn are_applied(migrator: &Migrator, connection: &mut impl Migrate) -> bool {
    let table = &migrator.table_name;
    let Ok(None) = connection.dirty_version(table).await else {
        return false;
    };
    let Ok(applied) = connection.list_applied_migrations(table).await else {
        return false;
    };
    migrator.iter().all(|migration| {
        applied.iter().any(|applied| {
            applied.version == migration.version && applied.checksum == migration.checksum
        })
    })
}

/// Lets a newer version have migrated further already.
fn migrator(migrations: Migrations) -> Migrator {
    let migrations = migrations.iter().map(|&(version, description, sql)| {
        Migration::new(
            version,
            description.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.set_ignore_missing(true);
    migrator
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What `migrate!` would have compiled in: the same version, description, statements and
    /// checksum for each file.
    async fn lists_its_folder(folder: &str, listed: Migrator) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("migrations")
            .join(folder);
        let facts = |migrator: &Migrator| -> Vec<_> {
            let facts = migrator.iter().map(|migration| {
                (
                    migration.version,
                    migration.description.clone(),
                    migration.migration_type,
                    migration.sql.as_str().to_owned(),
                    migration.checksum.clone(),
                    migration.no_tx,
                )
            });
            facts.collect()
        };
        let found = Migrator::new(folder).await.unwrap();
        assert_eq!(facts(&listed), facts(&found));
    }

    #[tokio::test]
    async fn every_migration_of_the_folders_is_listed() {
        lists_its_folder("postgres", postgres()).await;
        lists_its_folder("sqlite", sqlite()).await;
    }
}
