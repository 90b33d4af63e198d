//! What became of each document, on stdout, and the progress, on stderr.

use std::{
    fmt,
    io::{self, Write},
    time::{Duration, Instant},
};

use super::{Mode, Origin, names::Assigned, refusal::Refusal, staged::Staged};
use crate::{exit::Exit, id::Team};

const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The outcome of one document.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All of it is in our store, and was compared with the source.
    Imported {
        how: Imported,
        /// The bytes of its state.
        bytes: usize,
        /// Whether elements of it wait for others that the source does not have.
        is_incomplete: bool,
        /// What the source has of it besides, which is not imported.
        besides: Vec<String>,
    },
    /// It was not imported.
    Refused(Refusal),
}

/// How a document was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Imported {
    /// It was created.
    New,
    /// It was there, and lacked something.
    Completed,
    /// It was there, with all of its content.
    Before,
    /// It can be imported; nothing was written.
    Possible,
}

impl Outcome {
    /// All of `staged` is in our store.
    pub(super) fn imported(staged: &Staged, how: Imported) -> Self {
        Self::Imported {
            how,
            bytes: staged.state.len(),
            is_incomplete: staged.document.has_pending(),
            besides: staged.besides.clone(),
        }
    }
}

/// What became of all documents.
#[derive(Debug)]
pub struct Report {
    origin: &'static str,
    team: Team,
    mode: Mode,
    documents: usize,
    new: usize,
    completed: usize,
    before: usize,
    bytes: u64,
    renamed: usize,
    incomplete: usize,
    refused: usize,
    source_damages: usize,
}

impl Report {
    pub(super) fn new(origin: &Origin, team: &Team, mode: Mode) -> Self {
        Self {
            origin: match origin {
                Origin::YWebsocket { .. } => "y-websocket",
                Origin::Hocuspocus { .. } => "Hocuspocus",
                Origin::YSweet { .. } => "y-sweet",
            },
            team: team.clone(),
            mode,
            documents: 0,
            new: 0,
            completed: 0,
            before: 0,
            bytes: 0,
            renamed: 0,
            incomplete: 0,
            refused: 0,
            source_damages: 0,
        }
    }

    /// The exit code: a failure if anything was not imported.
    pub fn exit(&self) -> Exit {
        match self.refused + self.source_damages {
            0 => Exit::Done,
            _ => Exit::Failed,
        }
    }

    /// Adds damage of the source that belongs to no document.
    pub(super) fn source_damaged(&mut self, damage: &str) {
        self.source_damages += 1;
        print(&format!("damaged source: {damage}"));
    }

    /// Adds a document, and prints what is to be said about it.
    pub(super) fn add(&mut self, document: &Assigned, outcome: Outcome) {
        let name = &document.name;
        self.documents += 1;
        let (how, bytes, is_incomplete, besides) = match outcome {
            Outcome::Refused(refusal) => {
                self.refused += 1;
                print(&format!("not imported: {name:?}: {refusal}"));
                return;
            }
            Outcome::Imported {
                how,
                bytes,
                is_incomplete,
                besides,
            } => (how, bytes, is_incomplete, besides),
        };
        self.bytes += bytes as u64;
        match how {
            Imported::New | Imported::Possible => self.new += 1,
            Imported::Completed => self.completed += 1,
            Imported::Before => self.before += 1,
        }
        if let Ok(room) = &document.room
            && document.is_renamed
        {
            self.renamed += 1;
            print(&format!(
                "renamed: {name:?}: its room is {:?}",
                room.as_str()
            ));
        }
        if is_incomplete {
            self.incomplete += 1;
            print(&format!(
                "incomplete: {name:?}: some of its edits depend on others that the source lacks; they are kept, and not visible"
            ));
        }
        for besides in besides {
            print(&format!("left out: {name:?}: {besides}"));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let team = self.team.as_str();
        writeln!(
            f,
            "{} documents of {} for the team {team:?}:",
            self.documents, self.origin
        )?;
        match self.mode {
            Mode::Write => {
                writeln!(f, "  {:>8}  imported and verified", self.new)?;
                writeln!(
                    f,
                    "  {:>8}  imported before, completed and verified",
                    self.completed
                )?;
                writeln!(
                    f,
                    "  {:>8}  imported before, unchanged and verified",
                    self.before
                )?;
            }
            Mode::DryRun => writeln!(f, "  {:>8}  can be imported; nothing was written", self.new)?,
        }
        writeln!(f, "  {:>8}  not imported", self.refused)?;
        writeln!(
            f,
            "{} bytes of content; renamed: {}; incomplete: {}",
            self.bytes, self.renamed, self.incomplete
        )?;
        match self.source_damages {
            0 => write!(f, "The source is whole."),
            count => write!(
                f,
                "The source is damaged in {count} places: documents that are stored there alone were not found."
            ),
        }
    }
}

/// Tells on stderr how far the import is, at most once a second.
pub(super) struct Progress {
    all: usize,
    done: usize,
    refused: usize,
    began: Instant,
    told: Instant,
}

impl Progress {
    pub(super) fn new(all: usize) -> Self {
        let now = Instant::now();
        let progress = Self {
            all,
            done: 0,
            refused: 0,
            began: now,
            told: now,
        };
        progress.tell();
        progress
    }

    pub(super) fn step(&mut self, outcome: &Outcome) {
        self.done += 1;
        self.refused += usize::from(matches!(outcome, Outcome::Refused(_)));
        if self.told.elapsed() >= PROGRESS_EVERY {
            self.tell();
            self.told = Instant::now();
        }
    }

    pub(super) fn end(&self) {
        self.tell();
    }

    fn tell(&self) {
        let seconds = self.began.elapsed().as_secs_f64();
        let (done, all, refused) = (self.done, self.all, self.refused);
        // Nobody may read it.
        let _ = writeln!(
            io::stderr(),
            "{done} of {all} documents after {seconds:.1} s, {refused} of them not imported"
        );
    }
}

/// Prints a line of the report.
fn print(line: &str) {
    // The exit code says it too.
    let _ = writeln!(io::stdout(), "{line}");
}
