//! Takes over the documents of another server: of y-websocket, Hocuspocus and y-sweet.
//!
//! ```text
//! Source     the other server's store: the names of its documents, and the content of each (source.rs, contents.rs)
//! y_websocket, hocuspocus, y_sweet      the formats, one file each
//! names      the rooms of the documents (names.rs)
//! Staged     the content of one document, checked (staged.rs)
//! Target     our store: writes a document and reads it back (target.rs)
//! Report     what became of each document (report.rs); Refusal, why one was not imported (refusal.rs)
//! ```
//! One document after the other is read, checked, written as one append, read back from our store and
//! compared with the source, element by element; only one is in memory. No state is kept besides the
//! documents themselves: of a document that is there already, only what it lacks is written. So an import
//! that was killed is started again, goes on where it was, and writes nothing twice; and one that is repeated
//! after the other server has stopped brings what was edited since.
//!
//! Nothing is left out in silence: a document that cannot be imported is reported, and so is a room with
//! another name.

use std::path::PathBuf;

use crate::{
    config::Config,
    error::Error,
    id::{Team, UserId},
    metrics::Metrics,
    store::{ForeignError, TableNames},
    supervise::{Supervisor, Task},
};

mod contents;
mod hocuspocus;
mod names;
mod refusal;
mod report;
mod source;
mod staged;
mod target;
mod y_sweet;
mod y_websocket;

pub use self::report::Report;

use self::{
    names::{Assigned, assign},
    refusal::Refusal,
    report::{Imported, Outcome, Progress},
    source::Source,
    staged::Staged,
    target::Target,
};

/// An import.
#[derive(Clone, Debug)]
pub struct Import {
    /// Where the documents are.
    pub origin: Origin,
    /// The team whose documents they become.
    pub team: Team,
    /// The user who is named as their author.
    pub author: UserId,
    /// What is done with documents of the same rooms.
    pub existing: Existing,
    /// Whether anything is written.
    pub mode: Mode,
}

/// The store of another server.
#[derive(Clone, Debug)]
pub enum Origin {
    /// The LevelDB folder of y-websocket's server. `prefix` is what its names begin with and those of the rooms do not.
    YWebsocket {
        /// The folder.
        folder: PathBuf,
        /// The beginning of names that is left out.
        prefix: String,
    },
    /// A table that Hocuspocus's extensions SQLite or Database have written.
    Hocuspocus {
        /// A SQLite file, or the address of a Postgres.
        database: String,
        /// The names of the table and its columns.
        table: TableNames,
    },
    /// The folder of y-sweet.
    YSweet {
        /// The folder.
        folder: PathBuf,
    },
}

/// What is done with a document whose room has one that was not imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is not imported, and reported.
    Skip,
    /// Its content is added.
    Merge,
}

/// Whether an import writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It writes.
    Write,
    /// It only checks the source, and says what it would do.
    DryRun,
}

/// Why an import ended before all documents were looked at.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source cannot be opened, or not all of its names can be read.
    #[error("the source cannot be read: {0}")]
    Source(String),
    /// Our database cannot be used, or has failed. What was imported stays: start the import again.
    #[error(
        "the database failed: {0}; what was imported until then is complete, and starting the import again continues it"
    )]
    Store(#[from] Error),
}

impl From<ForeignError> for ImportError {
    fn from(error: ForeignError) -> Self {
        Self::Source(error.to_string())
    }
}

impl Import {
    /// Imports all documents. What becomes of a document is printed as soon as it is known, the progress on stderr.
    ///
    /// # Errors
    /// See [`ImportError`]. A document that cannot be imported is no error, but is in the report.
    pub async fn run(self, config: &Config) -> Result<Report, ImportError> {
        let supervisor = Supervisor::new(Metrics::new());
        let source = Source::open(&self.origin, &supervisor).await?;
        let target = match self.mode {
            Mode::Write => Some(Target::open(config, &self, &supervisor).await?),
            Mode::DryRun => None,
        };
        let work = Work {
            import: &self,
            config,
            source: &source,
            target: target.as_ref(),
            supervisor: &supervisor,
        };
        let report = work.run().await;
        if let Some(target) = target {
            target.close().await;
        }
        report
    }
}

/// An import at work.
struct Work<'a> {
    import: &'a Import,
    config: &'a Config,
    source: &'a Source,
    target: Option<&'a Target>,
    supervisor: &'a Supervisor,
}

impl Work<'_> {
    async fn run(&self) -> Result<Report, ImportError> {
        let listed = self.source.list(self.supervisor).await?;
        let mut report = Report::new(&self.import.origin, &self.import.team, self.import.mode);
        for damage in &listed.damages {
            report.source_damaged(damage);
        }
        let mut progress = Progress::new(listed.names.len());
        for document in assign(listed.names, &self.import.origin) {
            let outcome = self.import_one(&document).await?;
            progress.step(&outcome);
            report.add(&document, outcome);
        }
        progress.end();
        Ok(report)
    }

    async fn import_one(&self, document: &Assigned) -> Result<Outcome, ImportError> {
        let room = match &document.room {
            Ok(room) => room,
            Err(taken) => return Ok(Outcome::Refused(taken.clone())),
        };
        let staged = match self.stage(&document.name).await? {
            Ok(staged) => staged,
            Err(refusal) => return Ok(Outcome::Refused(refusal)),
        };
        match self.target {
            Some(target) => Ok(target.take(room, staged).await?),
            None => Ok(Outcome::imported(&staged, Imported::Possible)),
        }
    }

    /// Reads a document and checks it, on a thread with a stack that is large enough.
    async fn stage(&self, name: &str) -> Result<Result<Staged, Refusal>, ImportError> {
        let contents = match self.source.read(name, self.supervisor).await? {
            Ok(contents) => contents,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let limits = self.config.limits;
        let staging = self
            .supervisor
            .blocking(Task::Validation, move || Staged::new(contents, &limits));
        Ok(staging.await.unwrap_or(Err(Refusal::Panicked)))
    }
}
