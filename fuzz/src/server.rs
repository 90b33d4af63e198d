//! A room of the server without its doors and its database: what it does with
//! updates, what its members are told, and what is written.
//!
//! This file alone follows the interface of `Document` for the differential
//! fuzz.

use std::time::{Duration, Instant};

use crate::document::{Applied, ApplyError, Caps, Document, StateVector, merge, validate};

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
}

impl Default for Room {
    fn default() -> Self {
        Self {
            document: Document::new(CAPS),
            log: Vec::new(),
        }
    }
}

/// An accepted update: what is written, and what is told where that is not the same.
struct Accepted {
    bytes: Vec<u8>,
    told: Told,
}

enum Told {
    Itself,
    Other(Vec<u8>),
    Nothing,
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

    /// The document as newcomers get it and as it is saved.
    ///
    /// # Errors
    /// If it is broken.
    pub fn encode(&self) -> Result<Vec<u8>, String> {
        self.document.encode().map_err(|error| error.to_string())
    }

    /// What a client at the state vector `from` gets.
    ///
    /// # Errors
    /// If it is none, or the document is broken.
    pub fn diff(&self, from: &[u8]) -> Result<Vec<u8>, String> {
        let from = StateVector::decode(from).map_err(|error| error.to_string())?;
        self.document.diff(&from).map_err(|error| error.to_string())
    }

    /// The room after a restart: only what was written.
    ///
    /// # Errors
    /// If a row cannot be restored.
    pub fn replayed(&self) -> Result<Self, String> {
        let mut document = Document::new(CAPS);
        for row in &self.log {
            let checked = validate(row).map_err(|error| format!("a row is invalid: {error}"))?;
            document
                .restore(row, &checked)
                .map_err(|error| format!("a row cannot be restored: {error}"))?;
        }
        let log = self.log.clone();
        Ok(Self { document, log })
    }

    /// Replaces the log by a snapshot, and opens that.
    ///
    /// # Errors
    /// If the document is broken or cannot be opened.
    pub fn compacted(&self) -> Result<Self, String> {
        let log = vec![self.encode()?];
        Self {
            log,
            ..Self::default()
        }
        .replayed()
    }

    fn take(&mut self, update: &[u8], accepted: &mut Vec<Accepted>) -> Answer {
        let checked = match validate(update) {
            Ok(checked) => checked,
            Err(malformed) => return Answer::Refused(malformed.reason.to_owned()),
        };
        let (answer, nothing) = match self.document.apply(update, &checked) {
            Ok(Applied::News) => (Answer::News, Told::Itself),
            Ok(Applied::Pending) => (Answer::Pending, Told::Nothing),
            Ok(Applied::Nothing) => return Answer::Nothing,
            Err(ApplyError::Panicked) => {
                if let Ok(room) = self.replayed() {
                    *self = room;
                }
                return Answer::Broken;
            }
            Err(error) => return Answer::Refused(error.to_string()),
        };
        let told = self.document.take_integrated().map_or(nothing, Told::Other);
        let bytes = update.to_vec();
        accepted.push(Accepted { bytes, told });
        answer
    }

    /// Writes what was accepted, neighbours as one row, and returns what is told.
    fn write(&mut self, accepted: Vec<Accepted>) -> Vec<Vec<u8>> {
        let mut told = Vec::new();
        let alike =
            |a: &Accepted, b: &Accepted| matches!((&a.told, &b.told), (Told::Itself, Told::Itself));
        for group in accepted.chunk_by(alike) {
            let [only] = group else {
                let updates: Vec<_> = group.iter().map(|update| &update.bytes).collect();
                if let Some(row) = merge(&updates) {
                    told.push(row.clone());
                    self.log.push(row);
                }
                continue;
            };
            match &only.told {
                Told::Itself => told.push(only.bytes.clone()),
                Told::Other(bytes) => told.push(bytes.clone()),
                Told::Nothing => {}
            }
            self.log.push(only.bytes.clone());
        }
        told
    }
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
