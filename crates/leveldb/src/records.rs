//! The records of a log file, which is also the form of the manifest: blocks of 32 KiB, in which records are cut into fragments,
//! each with its checksum.

use super::reader::{Reader, unmasked};

const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 7;

const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// The records of `file`, and what is wrong with it, each time that something is.
///
/// A record that ends with the file in the middle is no damage: its writer died before the write was complete. After a damage the
/// rest of its block is left out.
pub(crate) fn records(file: &[u8]) -> (Vec<Vec<u8>>, Vec<String>) {
    let (mut records, mut damages) = (Vec::new(), Vec::new());
    let mut begun: Option<Vec<u8>> = None;
    for (number, block) in file.chunks(BLOCK_BYTES).enumerate() {
        let mut rest = Reader(block);
        while rest.0.len() >= HEADER_BYTES {
            let at = number * BLOCK_BYTES + (block.len() - rest.0.len());
            match fragment(&mut rest, block.len() < BLOCK_BYTES) {
                Fragment::End => break,
                Fragment::Damaged(reason) => {
                    damages.push(format!("{reason} at byte {at}"));
                    begun = None;
                    break;
                }
                Fragment::Is(kind, bytes) => match (kind, begun.take()) {
                    (FULL, None) => records.push(bytes.to_vec()),
                    (FIRST, None) => begun = Some(bytes.to_vec()),
                    (MIDDLE, Some(record)) => begun = Some([&record, bytes].concat()),
                    (LAST, Some(record)) => records.push([&record, bytes].concat()),
                    // The rest of a record whose begin was damaged.
                    (MIDDLE | LAST, None) if !damages.is_empty() => {}
                    (_, _) => {
                        damages.push(format!("a record is incomplete at byte {at}"));
                        match kind {
                            FULL => records.push(bytes.to_vec()),
                            FIRST => begun = Some(bytes.to_vec()),
                            _ => {}
                        }
                    }
                },
            }
        }
    }
    (records, damages)
}

enum Fragment<'a> {
    Is(u8, &'a [u8]),
    /// Nothing follows in this block.
    End,
    Damaged(&'static str),
}

fn fragment<'a>(rest: &mut Reader<'a>, is_last_block: bool) -> Fragment<'a> {
    let (Some(stored), Some(length), Some(kind)) = (rest.u32(), rest.u16(), rest.byte()) else {
        return Fragment::End;
    };
    if kind == 0 && length == 0 {
        return Fragment::End;
    }
    let Some(bytes) = rest.take(length.into()) else {
        return match is_last_block {
            true => Fragment::End,
            false => Fragment::Damaged("a record is longer than its block"),
        };
    };
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&[kind]), bytes);
    match checksum == unmasked(stored) && (FULL..=LAST).contains(&kind) {
        true => Fragment::Is(kind, bytes),
        false => Fragment::Damaged("a record fails its checksum"),
    }
}
