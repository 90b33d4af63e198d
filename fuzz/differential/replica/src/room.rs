//! A room of the server without its doors and its database: how it applies
//! updates, relays them to its members, and writes them.
//!
//! For the differential fuzz, this file alone uses the interface of `Document`.

use std::time::{Duration, Instant};

use document::edit::Operation;
use document::{
    Applied, ApplyError, Checked, Document, Integrated, PendingLimits, StateVector, Unmergeable,
    Visibility, merge, validate,
};

/// How much may be pending: less than by the server's defaults.
const LIMITS: PendingLimits = PendingLimits {
    updates_max: 200,
    bytes_max: 1 << 20,
};

/// The outcome of one update.
#[derive(Debug)]
pub struct Outcome {
    /// The answer to its sender.
    pub answer: Answer,
    /// The processor time that it took.
    pub took: Duration,
}

/// The answer to the sender of an update.
#[derive(Debug)]
pub enum Answer {
    /// It is in the document.
    New,
    /// All or part of it is pending.
    Pending,
    /// The document had it already.
    Nothing,
    /// It is refused, for this reason.
    Refused(String),
    /// The document broke, and was built anew from the log.
    Broken,
}

/// A room.
#[derive(Debug)]
pub struct Room {
    document: Document,
    log: Vec<Vec<u8>>,
    /// Faults of the server that were found.
    faults: Vec<&'static str>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            document: Document::new(LIMITS),
            log: Vec::new(),
            faults: Vec::new(),
        }
    }
}

/// An accepted update: its row, and its message to the members.
struct Accepted {
    row: Vec<u8>,
    message: Option<Vec<u8>>,
    /// It released pending blocks, which are in the log already.
    has_released: bool,
}

impl Room {
    /// Applies the updates that have arrived since the last turn. Returns the outcome of each,
    /// and the messages to the members, in order.
    pub fn turn(&mut self, updates: &[&[u8]]) -> (Vec<Outcome>, Vec<Vec<u8>>) {
        let mut accepted = Vec::new();
        let outcomes = updates
            .iter()
            .map(|update| {
                let clock = Clock::start();
                let answer = self.take(update, &mut accepted);
                let took = clock.passed();
                Outcome { answer, took }
            })
            .collect();
        (outcomes, self.write(accepted))
    }

    /// The update for a client at the state vector `from`.
    ///
    /// # Errors
    /// If it is no state vector, or the document is broken.
    pub fn diff(&self, from: &[u8]) -> Result<Vec<u8>, String> {
        if let Some(fault) = self.faults.first() {
            return Err((*fault).to_owned());
        }
        let from = StateVector::decode(from).map_err(|error| error.to_string())?;
        self.document.diff(&from).map_err(|error| error.to_string())
    }

    /// An edit of the document by the server, as an update that is not applied yet.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn edit(&self, client: u64, operations: &[Operation]) -> Result<Vec<u8>, String> {
        let made = self.document.edit(client, operations);
        made.map_err(|error| error.to_string())
    }

    /// The edit that gives the document back the content of an earlier state.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn replace_with(&self, client: u64, state: &[u8]) -> Result<Vec<u8>, String> {
        let made = self.document.replace_with(client, state);
        made.map_err(|error| error.to_string())
    }

    /// The room after a restart: only its log is left.
    ///
    /// # Errors
    /// If a row cannot be restored.
    pub fn replayed(&self) -> Result<Self, String> {
        self.opened(self.log.clone())
    }

    fn opened(&self, log: Vec<Vec<u8>>) -> Result<Self, String> {
        let mut document = Document::new(LIMITS);
        for row in &log {
            let checked = validate(row).map_err(|error| format!("a row is invalid: {error}"))?;
            document
                .restore(row, &checked)
                .map_err(|error| format!("a row cannot be restored: {error}"))?;
        }
        if document.has_pending() != self.document.has_pending() {
            return Err("the log has not got the pending blocks".to_owned());
        }
        Ok(Self {
            document,
            log,
            faults: Vec::new(),
        })
    }

    /// Replaces the log by a snapshot, and opens that.
    ///
    /// # Errors
    /// If the document is broken or cannot be opened.
    pub fn compacted(&self) -> Result<Self, String> {
        let saved = self.document.encode().map_err(|error| error.to_string())?;
        self.opened(vec![saved])
    }

    fn take(&mut self, update: &[u8], accepted: &mut Vec<Accepted>) -> Answer {
        let checked = match validate(update) {
            Ok(checked) => checked,
            Err(malformed) => return Answer::Refused(malformed.reason.to_owned()),
        };
        match self.apply(update, &checked) {
            Ok(Some(applied)) => {
                let visible = applied.visibility == Visibility::Visible;
                match written(update, applied) {
                    Ok(row) => accepted.extend(row),
                    Err(_) => self.faults.push("the pending part is in the document"),
                }
                if visible {
                    Answer::New
                } else {
                    Answer::Pending
                }
            }
            Ok(None) => Answer::Nothing,
            Err(ApplyError::Panicked) => {
                if let Ok(room) = self.replayed() {
                    *self = room;
                }
                Answer::Broken
            }
            Err(error) => Answer::Refused(error.to_string()),
        }
    }

    fn apply(&mut self, update: &[u8], checked: &Checked) -> Result<Option<Applied>, ApplyError> {
        let prepared = self.document.prepare(update, checked, |_| u32::MAX)?;
        if prepared.is_nothing() {
            return Ok(None);
        }
        self.document.apply(update, prepared).map(Some)
    }

    /// Writes the accepted updates, neighbours as one row, and returns the messages to the members.
    fn write(&mut self, accepted: Vec<Accepted>) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let mergeable = |it: &Accepted| !it.has_released && it.message.as_ref() == Some(&it.row);
        for group in accepted.chunk_by(|a, b| mergeable(a) && mergeable(b)) {
            if let [only] = group {
                messages.extend(only.message.clone());
                self.log.push(only.row.clone());
                continue;
            }
            let rows: Vec<_> = group.iter().map(|update| &update.row).collect();
            match merge(&rows) {
                Ok(row) => {
                    messages.push(row.clone());
                    self.log.push(row);
                }
                Err(_) => self.faults.push("accepted updates cannot be merged"),
            }
        }
        messages
    }
}

/// The row and the message of an update that was applied.
fn written(update: &[u8], applied: Applied) -> Result<Option<Accepted>, Unmergeable> {
    let has_released = matches!(applied.integrated, Integrated::WithPending(_));
    let message = match applied.integrated {
        Integrated::Nothing => None,
        Integrated::Whole => Some(update.to_vec()),
        Integrated::Part(part) | Integrated::WithPending(part) => Some(part),
    };
    let row = match (&message, applied.pending) {
        (None, None) => return Ok(None),
        (Some(message), None) => message.clone(),
        (None, Some(held)) => held,
        (Some(message), Some(held)) => merge(&[message, &held])?,
    };
    Ok(Some(Accepted {
        row,
        message,
        has_released,
    }))
}

/// Processor time of this thread; on other systems than Linux the time of day.
struct Clock(Instant, Option<u64>);

impl Clock {
    fn start() -> Self {
        Self(Instant::now(), thread_nanos())
    }

    fn passed(self) -> Duration {
        let wall = self.0.elapsed();
        match (self.1, thread_nanos()) {
            // What the scheduler knows is exact only when the thread was
            // interrupted, and that is what has to be taken off.
            (Some(before), Some(after)) if wall > Duration::from_millis(20) => {
                Duration::from_nanos(after - before).min(wall)
            }
            _ => wall,
        }
    }
}

fn thread_nanos() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    status.split(' ').next()?.parse().ok()
}
