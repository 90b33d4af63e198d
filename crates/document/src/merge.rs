//! Merges updates on their bytes: nothing is decoded and encoded anew.
//!
//! Blocks of encoding v1 do not depend on what precedes them in an update, so
//! blocks of one client that follow one another can be put side by side. A hole
//! between blocks becomes a `Skip` block, as Yjs itself writes it. Updates with an element in
//! common are not merged here: which of the two counts is decided when an update is applied.

use std::borrow::Cow;

use super::lib0::{Malformed, Reader, write_var, write_var_string};
use super::ranges::Ranges;
use super::update::{ANY, Block, DELETED, GC, HAS_ORIGIN, Id, Part, SKIP, STRING, read};

/// Why updates were not merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmergeable {
    /// One of them would not pass [`validate`](super::validate()).
    #[error("an update is malformed")]
    Malformed,
    /// Two of them have an element in common.
    #[error("two updates make the same element")]
    Overlapping,
}

/// One update with the effect of all `updates`, in any order.
///
/// They may leave holes, and have deletions in common, but no elements.
///
/// # Errors
/// [`Unmergeable`].
pub fn merge<B: AsRef<[u8]>>(updates: &[B]) -> Result<Vec<u8>, Unmergeable> {
    let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
    for update in updates {
        let update = update.as_ref();
        collect(update, &mut blocks, &mut deletes).map_err(|_| Unmergeable::Malformed)?;
    }
    write_update(blocks, &deletes)
}

/// Whether a valid update deletes something. Its encoding ends with the ranges that it deletes, of
/// which each ends with its length, and with a zero if there are none.
pub fn deletes(update: &[u8]) -> bool {
    update.last().is_some_and(|last| *last != 0)
}

/// Adds the parts of the update `bytes`, without its skips.
pub(super) fn collect<'a>(
    bytes: &'a [u8],
    blocks: &mut Vec<Block<'a>>,
    deletes: &mut Ranges,
) -> Result<(), Malformed> {
    let mut deleting = 0;
    read(bytes, |part| {
        match part {
            Part::Client(_) => {}
            Part::Block(block) if block.info == SKIP => {}
            Part::Block(block) => blocks.push(block),
            Part::Deletes(client) => deleting = client,
            Part::Delete { start, end } => deletes.add(deleting, start..end),
        }
        Ok(())
    })
}

/// Writes an update of `blocks`, in any order, and `deletes`.
///
/// # Errors
/// [`Unmergeable::Overlapping`].
pub(super) fn write_update(
    mut blocks: Vec<Block<'_>>,
    deletes: &Ranges,
) -> Result<Vec<u8>, Unmergeable> {
    // Higher clients first: Yjs integrates fastest that way.
    blocks.sort_by_key(|block| (std::cmp::Reverse(block.id.client), block.id.clock));
    let clients = blocks.chunk_by(|a, b| a.id.client == b.id.client);
    let mut out = Vec::with_capacity(blocks.iter().map(|block| block.bytes.len() + 8).sum());
    write_var(&mut out, clients.clone().count() as u64);
    let mut section = Vec::new();
    for blocks in clients {
        section.clear();
        let count = write_client(&mut section, blocks)?;
        write_var(&mut out, count);
        write_var(&mut out, blocks[0].id.client);
        write_var(&mut out, blocks[0].id.clock.into());
        out.extend_from_slice(&section);
    }
    deletes.write(&mut out);
    Ok(out)
}

/// Writes one client's blocks, sorted by clock, and returns how many they became.
fn write_client(out: &mut Vec<u8>, blocks: &[Block<'_>]) -> Result<u64, Unmergeable> {
    let (mut count, mut clock) = (0, blocks[0].id.clock);
    for block in blocks {
        if block.id.clock < clock {
            return Err(Unmergeable::Overlapping);
        }
        if block.id.clock > clock {
            out.push(SKIP);
            write_var(out, (block.id.clock - clock).into());
            count += 1;
        }
        match block.info {
            GC => {
                out.push(GC);
                write_var(out, block.len.into());
            }
            _ if block.trimmed > 0 || block.cropped => write_part(out, block),
            _ => out.extend_from_slice(block.bytes),
        }
        clock = block.end();
        count += 1;
    }
    Ok(count)
}

/// Writes a block of which elements have been left out.
fn write_part(out: &mut Vec<u8>, block: &Block<'_>) {
    if block.trimmed > 0 {
        out.push(block.info | HAS_ORIGIN);
        block.place.dependencies().for_each(|id| write_id(out, id));
    } else {
        out.extend_from_slice(&block.bytes[..block.bytes.len() - block.content.len()]);
    }
    // The text and the values were read when the block was: nothing fails here.
    let mut content = Reader::new(block.content);
    match block.kind() {
        STRING => {
            let text = content.var_string().unwrap_or_default();
            let (_, tail) = utf16_split(text, block.trimmed);
            write_var_string(out, &utf16_split(&tail, block.len).0);
        }
        ANY => {
            let _ = content.count();
            (0..block.trimmed).for_each(|_| content.any().unwrap_or_default());
            let start = content.clone();
            (0..block.len).for_each(|_| content.any().unwrap_or_default());
            write_var(out, block.len.into());
            out.extend_from_slice(content.since(&start));
        }
        kind => {
            debug_assert_eq!(
                kind, DELETED,
                "other content has one element and cannot be cut"
            );
            write_var(out, block.len.into());
        }
    }
}

/// `text` split before its `units`-th unit of UTF-16. Each half of a surrogate pair
/// that is split becomes U+FFFD, as in Yjs.
pub(super) fn utf16_split(text: &str, units: u32) -> (Cow<'_, str>, Cow<'_, str>) {
    let mut passed = 0;
    for (at, char) in text.char_indices() {
        if passed == units {
            return (text[..at].into(), text[at..].into());
        }
        passed += char.len_utf16() as u32;
        if passed > units {
            let (left, right) = (&text[..at], &text[at + char.len_utf8()..]);
            return (
                format!("{left}\u{fffd}").into(),
                format!("\u{fffd}{right}").into(),
            );
        }
    }
    (text.into(), "".into())
}

/// Some units of UTF-16 of a text. Each half of a surrogate pair that was split is U+FFFD, as
/// [`utf16_split`] writes it.
pub(super) struct Utf16<'a> {
    units: std::str::EncodeUtf16<'a>,
    left: u32,
}

impl<'a> Utf16<'a> {
    /// `len` units from the one at `start` on.
    pub(super) fn new(text: &'a str, start: u32, len: u32) -> Self {
        let mut units = text.encode_utf16();
        if start > 0 {
            units.nth(start as usize - 1);
        }
        Self { units, left: len }
    }

    /// Whether the units are the same, but for those of surrogate pairs that were split.
    pub(super) fn agrees(mut self, mut other: Self) -> bool {
        let replaced = |unit| unit == 0xfffd;
        let half = |unit| (0xd800..0xe000).contains(&unit);
        while let (Some(a), Some(b)) = (self.next(), other.next()) {
            if a != b && !(replaced(a) && half(b)) && !(half(a) && replaced(b)) {
                return false;
            }
        }
        true
    }

    fn next(&mut self) -> Option<u16> {
        self.left = self.left.checked_sub(1)?;
        self.units.next()
    }
}

pub(super) fn write_id(out: &mut Vec<u8>, id: Id) {
    write_var(out, id.client);
    write_var(out, id.clock.into());
}

#[cfg(test)]
mod tests {
    use super::super::validate;
    use super::*;

    /// Text that client 1 typed into the root "t" from `clock` on, after `left`.
    fn text(clock: u8, left: Option<u8>, text: &str) -> Vec<u8> {
        let place = left.map_or(vec![4, 1, 1, b't'], |left| vec![0x84, 1, left]);
        let head = [1, 1, 1, clock];
        [
            &head,
            &place[..],
            &[text.len() as u8],
            text.as_bytes(),
            &[0],
        ]
        .concat()
    }

    #[test]
    fn updates_side_by_side_become_one_section() {
        let merged = merge(&[text(3, Some(2), "de"), text(0, None, "abc")]);
        let expected = [1, 2, 1, 0, 4, 1, b't', 3, b'a', b'b', b'c'];
        let tail = [0x84, 1, 2, 2, b'd', b'e', 0];
        assert_eq!(
            merged,
            Ok([&expected[..5], &[1], &expected[5..], &tail].concat())
        );
    }

    #[test]
    fn updates_that_make_the_same_element_are_not_merged() {
        let both = [text(0, None, "abc"), text(2, Some(1), "x")];
        assert_eq!(merge(&both), Err(Unmergeable::Overlapping));
        let twice = [text(0, None, "abc"), text(0, None, "abc")];
        assert_eq!(merge(&twice), Err(Unmergeable::Overlapping));
    }

    #[test]
    fn a_part_of_a_text_stands_right_of_the_part_before_it() {
        let parts = |bytes: &[u8], at| {
            let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
            collect(bytes, &mut blocks, &mut deletes).expect("an update");
            let parts = [vec![blocks[0].head(at)], vec![blocks[0].tail(at)]];
            parts.map(|part| write_update(part, &deletes).expect("disjoint"))
        };
        let whole = text(0, None, "ab😀cd");
        assert_eq!(
            parts(&whole, 4),
            [text(0, None, "ab😀"), text(4, Some(3), "cd")]
        );
        // A pair of surrogates that is torn is replaced on both sides, as in Yjs.
        assert_eq!(
            parts(&whole, 3),
            [text(0, None, "ab\u{fffd}"), text(3, Some(2), "\u{fffd}cd")]
        );
    }

    #[test]
    fn a_hole_becomes_a_skip_and_deletions_are_joined() {
        let deletes = |start, len| vec![0, 1, 7, 1, start, len];
        let merged = merge(&[
            text(0, None, "ab"),
            deletes(4, 2),
            text(5, Some(4), "f"),
            deletes(0, 4),
        ]);
        let expected = [
            1, 3, 1, 0, 4, 1, 1, b't', 2, b'a', b'b', SKIP, 3, 0x84, 1, 4, 1, b'f', 1, 7, 1, 0, 6,
        ];
        assert_eq!(merged, Ok(expected.to_vec()));
        let checked = validate(&expected).expect("valid");
        assert!(checked.needs_full_read && checked.advances[0].to == 6);
    }

    #[test]
    fn malformed_updates_are_not_merged() {
        assert_eq!(merge(&[&[0, 0][..], &[1]]), Err(Unmergeable::Malformed));
        assert_eq!(merge::<&[u8]>(&[]), Ok(vec![0, 0]));
    }
}
