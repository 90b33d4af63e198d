//! A room of the server without its doors and its database: what it does with
//! updates, what its members are told, and what is written.
//!
//! This file alone follows the interface of `Document` for the differential
//! fuzz.

use std::time::{Duration, Instant};

use document::{
    Applied, ApplyError, Caps, Checked, Document, Integrated, StateVector, Unmergeable, Visibility,
    merge, validate,
};

/// What a client may leave waiting, as in the server's defaults, but less.
const CAPS: Caps = Caps {
    pending_updates_max: 200,
    pending_bytes_max: 1 << 20,
};

/// What became of one update.
#[derive(Debug)]
pub struct Outcome {
    /// What its sender is told.
    pub answer: Answer,
    /// The processor time that it took.
    pub took: Duration,
}

/// What the sender of an update is told.
#[derive(Debug)]
pub enum Answer {
    /// It is in the document.
    News,
    /// All or part of it waits for others.
    Pending,
    /// It was known.
    Nothing,
    /// It is refused, and this is why.
    Refused(String),
    /// The document broke, and was built anew from the log.
    Broken,
}

/// A room.
#[derive(Debug)]
pub struct Room {
    document: Document,
    log: Vec<Vec<u8>>,
    /// What should not have happened.
    faults: Vec<&'static str>,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            document: Document::new(CAPS),
            log: Vec::new(),
            faults: Vec::new(),
        }
    }
}

/// An accepted update: what is written, and what members are told.
struct Accepted {
    row: Vec<u8>,
    message: Option<Vec<u8>>,
    /// It set free what had waited, which is in the log already.
    freed: bool,
}

impl Room {
    /// Takes what has arrived since the last turn. Returns what each sender is
    /// told, and what the members are told, in this order.
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

    /// What a client at the state vector `from` gets.
    ///
    /// # Errors
    /// If it is none, or the document is broken.
    pub fn diff(&self, from: &[u8]) -> Result<Vec<u8>, String> {
        if let Some(fault) = self.faults.first() {
            return Err((*fault).to_owned());
        }
        let from = StateVector::decode(from).map_err(|error| error.to_string())?;
        self.document.diff(&from).map_err(|error| error.to_string())
    }

    /// The room after a restart: only what was written.
    ///
    /// # Errors
    /// If a row cannot be restored.
    pub fn replayed(&self) -> Result<Self, String> {
        self.opened(self.log.clone())
    }

    fn opened(&self, log: Vec<Vec<u8>>) -> Result<Self, String> {
        let mut document = Document::new(CAPS);
        for row in &log {
            let checked = validate(row).map_err(|error| format!("a row is invalid: {error}"))?;
            document
                .restore(row, &checked)
                .map_err(|error| format!("a row cannot be restored: {error}"))?;
        }
        if document.has_pending() != self.document.has_pending() {
            return Err("the log does not hold what waits".to_owned());
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
                    Err(_) => self.faults.push("what waits is in the document"),
                }
                if visible {
                    Answer::News
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

    /// Writes what was accepted, neighbours as one row, and returns what is told.
    fn write(&mut self, accepted: Vec<Accepted>) -> Vec<Vec<u8>> {
        let mut told = Vec::new();
        let mergeable = |it: &Accepted| !it.freed && it.message.as_ref() == Some(&it.row);
        for group in accepted.chunk_by(|a, b| mergeable(a) && mergeable(b)) {
            if let [only] = group {
                told.extend(only.message.clone());
                self.log.push(only.row.clone());
                continue;
            }
            let rows: Vec<_> = group.iter().map(|update| &update.row).collect();
            match merge(&rows) {
                Ok(row) => {
                    told.push(row.clone());
                    self.log.push(row);
                }
                Err(_) => self.faults.push("what was accepted cannot be merged"),
            }
        }
        told
    }
}

/// What a room writes and tells of an update that it has applied.
fn written(update: &[u8], applied: Applied) -> Result<Option<Accepted>, Unmergeable> {
    let freed = matches!(applied.integrated, Integrated::More(_));
    let message = match applied.integrated {
        Integrated::Nothing => None,
        Integrated::Whole => Some(update.to_vec()),
        Integrated::Part(part) | Integrated::More(part) => Some(part),
    };
    let row = match (&message, applied.held) {
        (None, None) => return Ok(None),
        (Some(message), None) => message.clone(),
        (None, Some(held)) => held,
        (Some(message), Some(held)) => merge(&[message, &held])?,
    };
    Ok(Some(Accepted {
        row,
        message,
        freed,
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
