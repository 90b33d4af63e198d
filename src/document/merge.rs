//! Several updates as one, on the bytes: nothing is decoded and written anew.
//!
//! Blocks of encoding v1 do not depend on what precedes them in an update, so
//! blocks of one client that follow one another can be put side by side. What
//! two updates share is kept once; a hole between blocks becomes a `Skip`
//! block, as Yjs itself writes it.

use super::lib0::{Malformed, Reader, write_var, write_var_string};
use super::ranges::Ranges;
use super::update::{
    ANY, Block, DELETED, GC, HAS_ORIGIN, HAS_RIGHT_ORIGIN, Id, Part, Place, SKIP, STRING, read,
};

/// One update that does what all of `updates` do, in any order.
///
/// They may overlap, and leave holes. `None` only if one of them would not
/// pass [`validate`](super::validate()).
pub fn merge<B: AsRef<[u8]>>(updates: &[B]) -> Option<Vec<u8>> {
    let (mut blocks, mut deletes) = (Vec::new(), Ranges::default());
    for update in updates {
        collect(update.as_ref(), &mut blocks, &mut deletes).ok()?;
    }
    Some(write_update(blocks, &deletes))
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

/// Writes an update of `blocks`, which may overlap, and `deletes`.
pub(super) fn write_update(mut blocks: Vec<Block<'_>>, deletes: &Ranges) -> Vec<u8> {
    // Higher clients first: Yjs integrates fastest that way. Of two blocks
    // that begin alike the longer one comes first and hides the other.
    blocks.sort_by_key(|block| (std::cmp::Reverse(block.id.client), block.id.clock, u32::MAX - block.len));
    let clients = blocks.chunk_by(|a, b| a.id.client == b.id.client);
    let mut out = Vec::with_capacity(blocks.iter().map(|block| block.bytes.len() + 8).sum());
    write_var(&mut out, clients.clone().count() as u64);
    let mut section = Vec::new();
    for blocks in clients {
        section.clear();
        let count = write_client(&mut section, blocks);
        write_var(&mut out, count);
        write_var(&mut out, blocks[0].id.client);
        write_var(&mut out, blocks[0].id.clock.into());
        out.extend_from_slice(&section);
    }
    deletes.write(&mut out);
    out
}

/// Writes one client's blocks, sorted by clock, and returns how many they became.
fn write_client(out: &mut Vec<u8>, blocks: &[Block<'_>]) -> u64 {
    let (mut count, mut clock) = (0, blocks[0].id.clock);
    for block in blocks {
        if block.end() <= clock {
            continue;
        }
        if block.id.clock > clock {
            out.push(SKIP);
            write_var(out, (block.id.clock - clock).into());
            count += 1;
        }
        match clock.saturating_sub(block.id.clock) {
            0 if block.info != GC => out.extend_from_slice(block.bytes),
            known => write_tail(out, block, known),
        }
        clock = block.end();
        count += 1;
    }
    count
}

/// Writes `block` without its first `known` elements, as Yjs does: what is
/// left has the element before it as its left origin.
fn write_tail(out: &mut Vec<u8>, block: &Block<'_>, known: u32) {
    let left = u64::from(block.len - known);
    if block.info == GC {
        out.push(GC);
        write_var(out, left);
        return;
    }
    out.push(block.info | HAS_ORIGIN);
    write_id(out, Id { client: block.id.client, clock: block.id.clock + known - 1 });
    match block.place {
        Place::Beside(id, other) if block.info & HAS_RIGHT_ORIGIN != 0 => {
            write_id(out, other.unwrap_or(id));
        }
        _ => {}
    }
    let mut content = Reader::new(block.content);
    match block.kind() {
        STRING => write_var_string(out, &utf16_tail(content.var_string().unwrap_or(""), known)),
        ANY => {
            // The count and the values were read when the block was.
            let _ = content.count();
            for _ in 0..known {
                let _ = content.any();
            }
            write_var(out, left);
            out.extend_from_slice(content.rest());
        }
        kind => {
            debug_assert_eq!(kind, DELETED, "other content has one element and no tail");
            write_var(out, left);
        }
    }
}

/// `text` without its first `units` of UTF-16. Half a pair becomes U+FFFD, as in Yjs.
fn utf16_tail(text: &str, units: u32) -> String {
    let mut passed = 0;
    for (at, char) in text.char_indices() {
        if passed == units {
            return text[at..].to_owned();
        }
        if passed > units {
            return format!("\u{fffd}{}", &text[at..]);
        }
        passed += char.len_utf16() as u32;
    }
    if passed > units { "\u{fffd}".to_owned() } else { String::new() }
}

fn write_id(out: &mut Vec<u8>, id: Id) {
    write_var(out, id.client);
    write_var(out, id.clock.into());
}
