//! yrs behind a guard.
//!
//! yrs panics on some updates, even on well-formed ones; and after that
//! the drop of its transaction would commit, panic again and so abort
//! the process. Here it runs under `catch_unwind` (releases must unwind), and a
//! transaction that panicked is forgotten.
//!
//! The replica is passive: it uses no client id, makes no edits and
//! cleans up no formatting, so it contains exactly what it was given. Only
//! encoding v1 is written: the other one panics more often.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use cpu_time::ThreadTime;

use yrs::updates::decoder::Decode;
use yrs::{
    Assoc, BranchID, Doc, IndexScope, OffsetKind, Options, ReadTxn, StickyIndex, Transact, Update,
};

use super::anchor::{Base, Parent, Place, RelativePosition, Side};
use super::state_vector::StateVector;
use super::update::Id;
use super::{ApplyError, ranges::Ranges};

/// yrs panicked, now or before: the document has to be built anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document is broken")]
pub struct Panicked;

/// A yrs document that is only given updates whose dependencies it has.
#[derive(Debug)]
pub(super) struct Replica {
    doc: Doc,
    broken: bool,
}

impl Replica {
    pub(super) fn new() -> Self {
        let doc = Doc::with_options(Options {
            offset_kind: OffsetKind::Utf16,
            cleanup_formatting: false,
            skip_gc: false,
            ..Options::default()
        });
        Self { doc, broken: false }
    }

    /// Whether it panicked while it integrated an update; then it can only be dropped.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Integrates `update`, whose dependencies it has. Returns whether
    /// that changed anything.
    pub(super) fn integrate(&mut self, update: Update) -> Result<bool, Panicked> {
        if self.broken {
            return Err(Panicked);
        }
        let mut txn = self.doc.transact_mut();
        let outcome = guard(|| {
            let whole = txn.apply_update(update).is_ok() && !txn.has_missing_updates();
            txn.commit();
            (whole, txn.has_changes())
        });
        if let Ok((true, changed)) = outcome {
            return Ok(changed);
        }
        // After this, the drop of the document is no safer than that of the
        // transaction. Both are leaked, and the lock stays taken: nobody asks
        // for it again.
        std::mem::forget(txn);
        std::mem::forget(self.doc.clone());
        self.broken = true;
        Err(Panicked)
    }

    /// A copy with `parts`, which together are one update, integrated one after the
    /// other; this one stays as it is. `None` if that takes more processor time than `time`.
    ///
    /// # Errors
    /// `Undecodable` and `Panicked`; this one is as sound as before.
    pub(super) fn copy_with(
        &self,
        parts: &[Vec<u8>],
        time: Duration,
    ) -> Result<Option<Self>, ApplyError> {
        let state = self.diff(&StateVector::default())?;
        let mut copy = Self::new();
        copy.integrate(decode(&state)?)?;
        let start = ThreadTime::now();
        for part in parts {
            copy.integrate(decode(part)?)?;
            if start.elapsed() > time {
                return Ok(None);
            }
        }
        Ok(Some(copy))
    }

    /// An update of all that a replica at `from` lacks, with every deletion.
    pub(super) fn diff(&self, from: &StateVector) -> Result<Vec<u8>, Panicked> {
        if self.broken {
            return Err(Panicked);
        }
        let from = from
            .iter()
            .map(|(client, clock)| (yrs::ClientID::new(client), clock))
            .collect();
        guard(|| self.doc.transact().encode_diff_v1(&from))
    }

    /// Whether the element is a type that still has its content.
    pub(super) fn is_type(&self, id: Id) -> bool {
        let found = || BranchID::get_nested(&self.doc.transact(), &native(id)).is_some();
        !self.broken && guard(found).unwrap_or(false)
    }

    /// Where a position is, whose element the document has; `None` where its type is deleted.
    ///
    /// # Errors
    /// [`Panicked`]; the document was only read, and is as sound as before.
    pub(super) fn place(&self, position: &RelativePosition) -> Result<Option<Place>, Panicked> {
        if self.broken {
            return Err(Panicked);
        }
        let scope = match &position.base {
            Base::Element(id) => IndexScope::Relative(native(*id)),
            Base::Type(id) => IndexScope::Nested(native(*id)),
            Base::Root(name) => IndexScope::Root(name.as_str().into()),
        };
        let assoc = match position.side {
            Side::Before => Assoc::After,
            Side::Behind => Assoc::Before,
        };
        let find = || {
            let txn = self.doc.transact();
            let found = StickyIndex::new(scope, assoc).get_offset(&txn)?;
            let parent = match found.branch.id() {
                BranchID::Root(name) => Parent::Root(name.as_ref().to_owned()),
                BranchID::Nested(id) => Parent::Nested(Id {
                    client: id.client.get(),
                    clock: id.clock,
                }),
            };
            let index = found.index;
            Some(Place { parent, index })
        };
        match (guard(find)?, &position.base) {
            // A root exists in every document; yrs knows it once it had content.
            (None, Base::Root(name)) => Ok(Some(Place {
                parent: Parent::Root(name.clone()),
                index: 0,
            })),
            (found, _) => Ok(found),
        }
    }

    #[cfg(test)]
    pub(super) fn doc(&self) -> &Doc {
        &self.doc
    }
}

impl Drop for Replica {
    /// A subdocument in yrs owns its parent, whose memory is then never released: a
    /// document that contains one is emptied first.
    fn drop(&mut self) {
        if self.broken || self.doc.transact().subdocs().next().is_none() {
            return;
        }
        let mut all = Ranges::default();
        for (client, clock) in self.doc.transact().state_vector().iter() {
            all.add(client.get(), 0..*clock);
        }
        let mut deletion = vec![0];
        all.write(&mut deletion);
        // Where this fails, the document is leaked.
        let _ = decode(&deletion).map(|update| self.integrate(update));
    }
}

/// Decodes an update for [`Replica::integrate`].
pub(super) fn decode(bytes: &[u8]) -> Result<Update, ApplyError> {
    guard(|| Update::decode_v1(bytes).ok())?.ok_or(ApplyError::Undecodable)
}

fn native(id: Id) -> yrs::ID {
    yrs::ID::new(yrs::ClientID::new(id.client), id.clock)
}

fn guard<T>(f: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|_| Panicked)
}
