//! What a client lacks of an open document.

use bytes::Bytes;

use super::{Deletions, Has, Lacking, heavy::run_heavy, open_document::OpenDocument};
use document::{DeletionsHash, Panicked, StateVector};

impl OpenDocument {
    /// What a client with the state vector `theirs` lacks; the whole state without one.
    pub(super) fn difference(&mut self, theirs: Option<&StateVector>) -> Result<Bytes, Panicked> {
        let Some(theirs) = theirs.filter(|sv| !sv.is_empty()) else {
            return self.whole_state();
        };
        let size = self.encoded_bytes + self.added_bytes;
        let diff = run_heavy(size, || self.document.diff(theirs));
        self.broken |= diff.is_err();
        diff.map(Bytes::from)
    }

    /// What a client that has `has` lacks; the whole state if it does not say.
    pub(super) fn lacking(&mut self, has: Option<&Has>) -> Result<Lacking, Panicked> {
        if let Some(has) = has
            && let Some(theirs) = has.deletions
            && theirs == self.deletions_hash()?
        {
            let size = self.encoded_bytes + self.added_bytes;
            let document = &self.document;
            let diff = run_heavy(size, || document.diff_without_deletions(&has.state_vector));
            self.broken |= diff.is_err();
            let deletions = Deletions::Omitted;
            return diff.map(|diff| Lacking {
                update: diff.into(),
                deletions,
            });
        }
        let update = self.difference(has.map(|has| &has.state_vector))?;
        let deletions = Deletions::Included;
        Ok(Lacking { update, deletions })
    }

    fn deletions_hash(&mut self) -> Result<DeletionsHash, Panicked> {
        if let Some(hash) = self.deletions_hash {
            return Ok(hash);
        }
        let size = self.encoded_bytes + self.added_bytes;
        let hash = run_heavy(size, || self.document.deletions_hash());
        self.broken |= hash.is_err();
        self.deletions_hash = hash.ok();
        hash
    }

    /// The whole state as one update, without what is pending.
    ///
    /// # Errors
    /// [`Panicked`].
    pub(super) fn whole_state(&mut self) -> Result<Bytes, Panicked> {
        if let Some(state) = &self.state {
            return Ok(state.clone());
        }
        let size = self.encoded_bytes + self.added_bytes;
        let encoded = run_heavy(size, || self.document.diff(&StateVector::default()));
        self.broken |= encoded.is_err();
        // It is kept, so without the spare capacity of the encoder.
        let state = Bytes::from(encoded?.into_boxed_slice());
        (self.encoded_bytes, self.added_bytes) = (state.len(), 0);
        self.state = Some(state.clone());
        Ok(state)
    }
}
