//! The collaborative document: a Yjs replica without any I/O, and what guards it.
//!
//! This module alone uses yrs, and within it `replica` alone. Bytes from
//! outside go through [`validate()`] and then through [`Document::apply`];
//! together they promise that
//! - nothing aborts the process, and a panic of yrs ends one document at most;
//! - a refused update leaves the document as it was;
//! - types never nest deeper than [`DEPTH_MAX`], so that what recurses over a
//!   document fits any stack;
//! - yrs never holds anything pending: an update is cut, and what depends on
//!   something missing is held here, as bytes, and counted.

use self::held::Held;
use self::known::{Known, Staged};
use self::plan::{Cut, cut};
use self::replica::{Replica, decode};
use crate::id::ClientId;

pub mod awareness;
mod held;
mod known;
pub mod lib0;
mod merge;
mod plan;
mod ranges;
mod replica;
mod split;
mod state_vector;
mod update;
mod validate;

pub use self::known::DEPTH_MAX;
pub use self::lib0::Malformed;
pub use self::merge::merge;
pub use self::replica::Panicked;
pub use self::split::split;
pub use self::state_vector::StateVector;
pub use self::validate::{Advance, Checked, validate};

/// How much a document holds of updates whose dependencies are missing.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// How many updates.
    pub pending_updates_max: usize,
    /// How many bytes in all.
    pub pending_bytes_max: usize,
}

/// What an update did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All of it that was new is in the document, which changed.
    News,
    /// All or part of it is held until its dependencies arrive. What is held
    /// is part of what [`Document::encode`] gives.
    Pending,
    /// The document knew all of it, or holds it already.
    Nothing,
}

/// Why an update was not applied. But for `Panicked` the document is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It passed the check, but yrs cannot decode it.
    #[error("the update cannot be decoded")]
    Undecodable,
    /// Types would nest deeper than [`DEPTH_MAX`].
    #[error("types nest deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// Its dependencies are missing, and as much as [`Caps`] allow is held.
    #[error("too many updates wait for missing ones")]
    PendingFull,
    /// yrs panicked: this document is unusable and has to be built anew.
    #[error("the document is broken")]
    Panicked,
}

impl From<Panicked> for ApplyError {
    fn from(_: Panicked) -> Self {
        ApplyError::Panicked
    }
}

/// A Yjs document.
#[derive(Debug)]
pub struct Document {
    replica: Replica,
    known: Known,
    held: Held,
    caps: Caps,
    /// What the last update brought in, where that is not just the update.
    taken_in: Vec<Vec<u8>>,
}

/// Who vouches for an update.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Nobody: limits are enforced.
    Client,
    /// It was accepted before: what passes a limit now is held, not refused.
    Log,
}

impl Document {
    /// An empty document.
    pub fn new(caps: Caps) -> Self {
        let (replica, known, held) = (Replica::new(), Known::default(), Held::default());
        Self {
            replica,
            known,
            held,
            caps,
            taken_in: Vec::new(),
        }
    }

    /// Applies an update from a client. `checked` is what [`validate()`] said of `bytes`.
    ///
    /// # Errors
    /// See [`ApplyError`]. After `Panicked` every method answers that.
    pub fn apply(&mut self, bytes: &[u8], checked: &Checked) -> Result<Applied, ApplyError> {
        self.take(bytes, checked, Source::Client)
    }

    /// Applies an update that was accepted before: of the log, of a snapshot,
    /// of another instance. [`Caps`] do not bind it, and what would lie too
    /// deep is held for ever instead of refused, so that nothing accepted is lost.
    ///
    /// # Errors
    /// `Undecodable` and `Panicked`.
    pub fn restore(&mut self, bytes: &[u8], checked: &Checked) -> Result<Applied, ApplyError> {
        self.take(bytes, checked, Source::Log)
    }

    /// The state vector, in encoding v1. What is held does not count.
    pub fn state_vector(&self) -> Vec<u8> {
        StateVector::from_iter(self.known.clocks()).encode()
    }

    /// The clock after the last element of `client`; 0 for an unknown one.
    pub fn clock(&self, client: ClientId) -> u32 {
        self.known.clock(client)
    }

    /// Whether anything is held because its dependencies are missing.
    pub fn has_pending(&self) -> bool {
        !self.held.is_empty()
    }

    /// What the last update brought into the document, as an update, where
    /// that is not just that update: a part of it, or also what was held for
    /// want of it. This is what other replicas are to be told; of what is held
    /// they need to know nothing before it is in the document, and two
    /// replicas that hold different things for one another would differ.
    pub fn take_integrated(&mut self) -> Option<Vec<u8>> {
        match std::mem::take(&mut self.taken_in).as_slice() {
            [] => None,
            [only] => Some(only.clone()),
            several => merge(several),
        }
    }

    /// An update, in encoding v1, of all in the document that a replica at
    /// `from` lacks. It has every deletion, as Yjs's has, and nothing that is held.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn diff(&self, from: &StateVector) -> Result<Vec<u8>, Panicked> {
        self.replica.diff(from)
    }

    /// The whole document as one update, in encoding v1, with what is held:
    /// what a store has to keep.
    ///
    /// # Errors
    /// [`Panicked`].
    pub fn encode(&self) -> Result<Vec<u8>, Panicked> {
        let state = self.diff(&StateVector::default())?;
        if self.held.is_empty() {
            return Ok(state);
        }
        let updates: Vec<_> = std::iter::once(state.as_slice())
            .chain(self.held.iter())
            .collect();
        // yrs wrote the one and `validate` let the others in; if they cannot
        // be read, something is as wrong as after a panic.
        merge(&updates).ok_or(Panicked)
    }

    fn take(
        &mut self,
        bytes: &[u8],
        checked: &Checked,
        source: Source,
    ) -> Result<Applied, ApplyError> {
        if self.replica.is_broken() {
            return Err(ApplyError::Panicked);
        }
        self.taken_in.clear();
        let old = |advance: &Advance| advance.to <= self.known.clock(advance.client);
        if !checked.deletes && checked.advances.iter().all(old) {
            return Ok(Applied::Nothing);
        }
        if !self.can_take_whole(checked) {
            return self.take_part(bytes, source);
        }
        let mut staged = Staged::default();
        for run in &checked.runs {
            match (staged.note(&self.known, *run), source) {
                (Ok(()), _) => {}
                (Err(_), Source::Client) => return Err(ApplyError::TooDeep),
                (Err(_), Source::Log) => return self.take_part(bytes, source),
            }
        }
        let changed = self.replica.integrate(decode(bytes)?)?;
        let advanced = checked
            .advances
            .iter()
            .map(|advance| (advance.client, advance.to));
        self.settle(staged, advanced.collect())?;
        if !self.taken_in.is_empty() {
            self.taken_in.push(bytes.to_vec());
        }
        Ok(if changed {
            Applied::News
        } else {
            Applied::Nothing
        })
    }

    /// Whether all that the update needs is known, as far as that can be told
    /// without reading it again.
    fn can_take_whole(&self, checked: &Checked) -> bool {
        // What is known in part is trimmed first.
        let follows = |advance: &Advance| {
            let clock = self.known.clock(advance.client);
            advance.from == clock || advance.to <= clock
        };
        let exists = |(client, clock): (&ClientId, &u32)| {
            *clock <= self.known.clock(*client)
                // What is deleted may be made by the same update.
                || matches!(checked.advances[..], [Advance { client: only, to, .. }]
                    if only == *client && *clock <= to)
        };
        !checked.gaps
            && checked.advances.iter().all(follows)
            && checked.needs.iter().all(exists)
            && checked
                .parents
                .iter()
                .all(|parent| self.replica.is_type(*parent))
    }

    /// Integrates what can be integrated, and holds the rest.
    fn take_part(&mut self, bytes: &[u8], source: Source) -> Result<Applied, ApplyError> {
        let cut = self.cut(bytes)?;
        let rest = cut.rest;
        if let Some(rest) = &rest {
            // It has to be sure now that it can be integrated later.
            decode(&rest.bytes)?;
        }
        if source == Source::Client {
            if cut.too_deep {
                return Err(ApplyError::TooDeep);
            }
            if rest
                .as_ref()
                .is_some_and(|rest| !self.has_room(rest.bytes.len()))
            {
                return Err(ApplyError::PendingFull);
            }
        }
        let ready = cut.ready.as_deref().unwrap_or(bytes);
        let changed = self.replica.integrate(decode(ready)?)?;
        if changed {
            self.taken_in.push(ready.to_vec());
        }
        let applied = match (&rest, changed) {
            (Some(_), _) => Applied::Pending,
            (None, true) => Applied::News,
            (None, false) => Applied::Nothing,
        };
        if let Some(rest) = rest {
            self.held.add(rest);
        }
        self.settle(cut.staged, cut.reached.into_iter().collect())?;
        Ok(applied)
    }

    /// Notes what has become known, and integrates what was held for want of it.
    fn settle(
        &mut self,
        staged: Staged,
        mut advanced: Vec<(ClientId, u32)>,
    ) -> Result<(), ApplyError> {
        self.note(staged, &advanced);
        while let Some((client, clock)) = advanced.pop() {
            while let Some(bytes) = self.held.take(client, clock) {
                let cut = self.cut(&bytes)?;
                let ready = cut.ready.as_deref().unwrap_or(&bytes);
                if self.replica.integrate(decode(ready)?)? {
                    self.taken_in.push(ready.to_vec());
                }
                let reached: Vec<_> = cut.reached.into_iter().collect();
                self.note(cut.staged, &reached);
                advanced.extend(reached);
                if let Some(rest) = cut.rest {
                    self.held.add(rest);
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, staged: Staged, advanced: &[(ClientId, u32)]) {
        self.known.keep(staged);
        for (client, clock) in advanced {
            self.known.advance(*client, *clock);
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.held.len() < self.caps.pending_updates_max
            && self.held.bytes() + bytes <= self.caps.pending_bytes_max
    }

    fn cut(&self, bytes: &[u8]) -> Result<Cut, ApplyError> {
        cut(bytes, &self.known, &self.held, |id| {
            self.replica.is_type(id)
        })
        .map_err(|_| ApplyError::Undecodable)
    }
}

#[cfg(test)]
mod tests;
