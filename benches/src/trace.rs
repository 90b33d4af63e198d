//! A recorded editing history, which is replayed to measure real typing.
//!
//! The format is that of the public data set josephg/editing-traces
//! (`sequential_traces`), gzipped JSON: `startContent`, `endContent`, and
//! `txns`, each with `patches` of `[position, deleted, inserted]`. Positions
//! count Unicode code points.

use std::{
    fs::File,
    io::{BufReader, BufWriter},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use yrs::{GetString, ReadTxn, StateVector, Text, Transact};

use crate::{replica, yjs};

/// The client that types a trace.
pub const WRITER: u64 = 0x2000_0000;

/// A recorded editing history.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The text before.
    pub start_content: String,
    /// The text after.
    pub end_content: String,
    /// The edits, in order.
    pub txns: Vec<Edit>,
}

/// The edits that were made at once.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Edit {
    /// The position, the number of deleted characters, the inserted text.
    pub patches: Vec<(u32, u32, String)>,
}

impl Trace {
    /// Reads `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("{}", path.display()))?;
        let trace: Self =
            serde_json::from_reader(BufReader::new(GzDecoder::new(BufReader::new(file))))
                .with_context(|| format!("{} is not a trace", path.display()))?;
        let texts = trace
            .txns
            .iter()
            .flat_map(|edit| &edit.patches)
            .map(|patch| &patch.2);
        let wide = |text: &String| text.chars().any(|c| c.len_utf16() > 1);
        ensure!(
            !texts.chain([&trace.start_content]).any(wide),
            "characters beyond 16 bits, which would need other positions, are not supported"
        );
        Ok(trace)
    }

    /// Writes `path`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let file = File::create(path).with_context(|| format!("{}", path.display()))?;
        let mut gzip = GzEncoder::new(BufWriter::new(file), Compression::best());
        serde_json::to_writer(&mut gzip, self)?;
        gzip.finish()?;
        Ok(())
    }

    /// Types the first `edits_max` edits into a document, and keeps each as its own update.
    pub fn replay(&self, edits_max: usize) -> Result<Replayed> {
        let doc = replica::document(Some(WRITER));
        let text = doc.get_or_insert_text(yjs::TEXT);
        let mut updates = Vec::new();
        if !self.start_content.is_empty() {
            let mut txn = doc.transact_mut();
            text.push(&mut txn, &self.start_content);
            updates.push(Bytes::from(txn.encode_update_v1()));
        }
        for edit in self.txns.iter().take(edits_max) {
            let mut txn = doc.transact_mut();
            for (position, deleted, inserted) in &edit.patches {
                if *deleted > 0 {
                    text.remove_range(&mut txn, *position, *deleted);
                }
                if !inserted.is_empty() {
                    text.insert(&mut txn, *position, inserted);
                }
            }
            updates.push(Bytes::from(txn.encode_update_v1()));
        }
        if edits_max >= self.txns.len() {
            let content = text.get_string(&doc.transact());
            ensure!(
                content == self.end_content,
                "the trace does not end with its text"
            );
        }
        // Deletions take no clock: a receiver has everything once it has the mark at the end.
        let mut txn = doc.transact_mut();
        text.push(&mut txn, "\n");
        updates.push(Bytes::from(txn.encode_update_v1()));
        drop(txn);
        let txn = doc.transact();
        let state = txn.encode_state_as_update_v1(&StateVector::default());
        let clocks = txn.state_vector().get(&yrs::block::ClientID::new(WRITER));
        Ok(Replayed {
            state: state.into(),
            clocks,
            updates,
        })
    }
}

/// A trace as Yjs updates.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// One for each edit, and an end mark.
    pub updates: Vec<Bytes>,
    /// The whole trace as one update.
    pub state: Bytes,
    /// The number of clocks of [`WRITER`] in it.
    pub clocks: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder;

    #[test]
    fn a_recorded_trace_replays_to_its_end() {
        let trace = recorder::record(1, 500);
        let replayed = trace.replay(usize::MAX).unwrap();
        assert_eq!(replayed.updates.len(), trace.txns.len() + 1);
        let one_by_one = replica::apply(replayed.updates.iter().map(AsRef::as_ref)).unwrap();
        let whole = replica::apply([replayed.state.as_ref()].into_iter()).unwrap();
        assert_eq!(one_by_one, whole);
        assert_eq!(one_by_one.clocks[&WRITER], replayed.clocks);
        assert_eq!(one_by_one.len, trace.end_content.len() + 1);
    }

    #[test]
    fn the_fixture_is_what_the_recorder_makes() {
        let fixture = Trace::read(Path::new(recorder::FIXTURE)).unwrap();
        assert!(fixture == recorder::record(recorder::SEED, recorder::EDITS));
    }
}
