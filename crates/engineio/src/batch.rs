//! The bytes that are handed to the kernel in one write.
//!
//! Small pieces are copied one behind the other into a buffer that the connections of a
//! thread share; large ones are written from their own buffers.

use std::{cell::Cell, collections::VecDeque, io::IoSlice, ops::Range};

use bytes::{Buf as _, Bytes};
use smallvec::SmallVec;

use super::message::{Message, Piece};

/// How many bytes are copied for one write.
const COPIED_BYTES_MAX: usize = 64 * 1024;
/// How many pieces one write has at most.
const PIECES_MAX: usize = 16;

thread_local! {
    /// The buffer for copied pieces, which one connection uses at a time.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The pieces of one write.
pub(super) struct Batch {
    copies: Vec<u8>,
    pieces: SmallVec<[Part; 4]>,
}

enum Part {
    /// A range of `copies`.
    Copied(Range<usize>),
    Shared(Bytes),
}

impl Batch {
    /// An empty batch in the buffer of this thread.
    pub(super) fn in_thread_buffer() -> Self {
        Self {
            copies: BUFFER.take(),
            pieces: SmallVec::new(),
        }
    }

    /// Returns the buffer to the thread.
    pub(super) fn return_buffer(mut self) {
        self.copies.clear();
        BUFFER.set(self.copies);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Calls `write` with the pieces, as slices for a vectored write.
    pub(super) fn write<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        for (slice, part) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(match part {
                Part::Copied(range) => &self.copies[range.clone()],
                Part::Shared(bytes) => bytes,
            });
        }
        write(&slices[..self.pieces.len()])
    }

    /// Replaces the pieces by those of `queue`, from `position` in its first message on,
    /// as far as they fit into one write.
    pub(super) fn fill(&mut self, queue: &VecDeque<Message>, position: usize) {
        self.pieces.clear();
        self.copies.clear();
        let mut skip = position;
        for message in queue {
            for piece in message.pieces() {
                if self.is_full() {
                    return;
                }
                let bytes = piece.as_bytes();
                let skipped = skip.min(bytes.len());
                skip -= skipped;
                match piece {
                    Piece::Small(bytes) => self.copy(&bytes[skipped..]),
                    Piece::Large(bytes) => self.share(bytes, skipped),
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES_MAX || self.copies.len() >= COPIED_BYTES_MAX
    }

    fn copy(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // If not all of it fits, the next call of `fill` goes on at this position.
        let bytes = &bytes[..bytes.len().min(COPIED_BYTES_MAX - self.copies.len())];
        let begin = self.copies.len();
        self.copies.extend_from_slice(bytes);
        match self.pieces.last_mut() {
            Some(Part::Copied(range)) => range.end = self.copies.len(),
            _ => self.pieces.push(Part::Copied(begin..self.copies.len())),
        }
    }

    fn share(&mut self, bytes: &Bytes, skip: usize) {
        let mut rest = bytes.clone();
        rest.advance(skip);
        if !rest.is_empty() {
            self.pieces.push(Part::Shared(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_copied_together_and_large_ones_are_not_copied() {
        let bytes = Bytes::from(vec![1; 1 << 20]);
        let queue: VecDeque<_> = [
            Message::text("one"),
            Message::text("two"),
            Message::binary(bytes.clone()),
            Message::text("three"),
        ]
        .into();
        let mut batch = Batch::in_thread_buffer();
        batch.fill(&queue, 2);
        batch.write(|slices| {
            assert_eq!(slices.len(), 3);
            assert!(slices[0].starts_with(b"one\x81\x03two\x82"));
            assert_eq!(slices[1].as_ptr(), bytes.as_ptr());
            assert_eq!(&*slices[2], b"\x81\x05three");
        });
        batch.fill(&queue, queue[0].wire_bytes() + 5 + 10 + 77);
        batch.write(|slices| assert_eq!(slices[0].len(), (1 << 20) - 77));
    }
}
