//! The check of bytes from outside, before a document sees them.
//!
//! It is one pass, without any allocation that a message could inflate. It can run anywhere,
//! and without the document; [`Checked`] carries what the document has to
//! know, so that an ordinary update is not read twice.

use std::ops::Range;

use smallvec::SmallVec;

use super::lib0::{Malformed, malformed};
use super::update::{Block, CLOCK_MAX, Id, Part, Place, Run, SKIP, TYPE, read};
use crate::ClientId;

/// The elements of one client that an update brings: `from..to`.
///
/// If two sessions bring elements of one client id, one of them has stolen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// The client.
    pub client: ClientId,
    /// The first clock.
    pub from: u32,
    /// The clock after the last one.
    pub to: u32,
}

/// An update that is well formed, and its dependencies.
///
/// The advances are complete. The other fields are for updates of a few parts, such as a typed
/// character, so that those id not be read again.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// One entry a client, in the order of the bytes.
    pub advances: SmallVec<[Advance; 1]>,
    /// The clocks that clients have to have: after the elements of other clients that blocks
    /// refer to, and after deleted elements. One entry a client.
    pub(super) dependencies: SmallVec<[(ClientId, u32); 2]>,
    /// Parents that are not among the types of the same client in this update.
    pub(super) parents: SmallVec<[Id; 1]>,
    /// The places of the blocks.
    pub(super) runs: SmallVec<[Run; 1]>,
    /// The deleted ranges.
    pub(super) deleted: SmallVec<[(ClientId, Range<u32>); 1]>,
    /// Whether the fields above, but for the advances, lack something: it has more parts than
    /// are listed, or a client's blocks do not follow one another.
    pub(super) needs_full_read: bool,
}

/// Updates of more blocks, or of more deleted ranges, are read again.
const LISTED_MAX: usize = 8;

/// Checks a Yjs update of encoding v1.
///
/// Its size is for the caller to check. Accepted is what stock Yjs 13.6 writes
/// (but for two obsolete kinds of content, see `update`), as far as its numbers, its
/// depths and its counts are within bounds.
///
/// # Errors
/// For anything else, in time linear in the length, without allocating for
/// what the bytes merely claim.
pub fn validate(bytes: &[u8]) -> Result<Checked, Malformed> {
    let mut pass = Pass::default();
    read(bytes, |part| {
        match part {
            Part::Client(client) => pass.client(client),
            Part::Block(block) => pass.block(&block),
            Part::Deletes(client) => pass.deleting.push(client),
            Part::Delete { start, end } => pass.delete(start..end),
        }
        Ok(())
    })?;
    if repeats(&mut pass.clients) || repeats(&mut pass.deleting) {
        return malformed("a client occurs twice");
    }
    Ok(pass.checked)
}

/// Whether `clients` holds one twice. Yjs writes them in falling order, so
/// that there is rarely anything to sort.
fn repeats(clients: &mut [ClientId]) -> bool {
    if clients.is_sorted_by(|a, b| a > b) {
        return false;
    }
    clients.sort_unstable();
    clients.windows(2).any(|pair| pair[0] == pair[1])
}

#[derive(Default)]
struct Pass {
    checked: Checked,
    clients: SmallVec<[ClientId; 4]>,
    deleting: SmallVec<[ClientId; 4]>,
    /// The clocks of this client's types, rising.
    types: Vec<u32>,
}

impl Pass {
    fn client(&mut self, client: ClientId) {
        self.clients.push(client);
        self.types.clear();
    }

    fn block(&mut self, block: &Block<'_>) {
        if block.info == SKIP {
            self.checked.needs_full_read = true;
            return;
        }
        let Id {
            client,
            clock: from,
        } = block.id;
        match self.checked.advances.last_mut() {
            Some(last) if last.client == client => last.to = block.end(),
            _ => self.checked.advances.push(Advance {
                client,
                from,
                to: block.end(),
            }),
        }
        self.checked.needs_full_read |= self.checked.runs.len() == LISTED_MAX;
        if self.checked.needs_full_read {
            return;
        }
        for id in block.place.dependencies().filter(|id| id.client != client) {
            self.depend_on(id.client, id.clock.saturating_add(1));
        }
        if let Place::Inside(parent) = block.place {
            let here = parent.client == client && self.types.binary_search(&parent.clock).is_ok();
            if !here && self.checked.parents.last() != Some(&parent) {
                self.checked.parents.push(parent);
            }
        }
        if block.kind() == TYPE {
            self.types.push(from);
        }
        self.checked.runs.push(block.run());
    }

    fn delete(&mut self, range: Range<u32>) {
        self.checked.needs_full_read |= self.checked.deleted.len() == LISTED_MAX;
        let Some(client) = self.deleting.last().copied() else {
            return;
        };
        if !self.checked.needs_full_read {
            self.depend_on(client, range.end);
            self.checked.deleted.push((client, range));
        }
    }

    fn depend_on(&mut self, client: ClientId, clock: u32) {
        let clock = clock.min(CLOCK_MAX);
        // There are few: at most three for each part that is listed.
        let dependencies = &mut self.checked.dependencies;
        match dependencies.iter_mut().find(|(other, _)| *other == client) {
            Some((_, highest)) => *highest = clock.max(*highest),
            None => dependencies.push((client, clock)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advances(bytes: &[u8]) -> Vec<(ClientId, u32, u32)> {
        let checked = validate(bytes).expect("valid");
        checked
            .advances
            .iter()
            .map(|by| (by.client, by.from, by.to))
            .collect()
    }

    /// One client's one item, "k" of the root map "map", with this content.
    fn item(content: &[u8]) -> Vec<u8> {
        [
            &[
                1,
                1,
                1,
                0,
                0x20 | content[0],
                1,
                3,
                b'm',
                b'a',
                b'p',
                1,
                b'k',
            ],
            &content[1..],
            &[0],
        ]
        .concat()
    }

    fn refused(bytes: &[u8]) -> &'static str {
        match validate(bytes) {
            Ok(_) => panic!("accepted: {bytes:?}"),
            Err(malformed) => malformed.reason,
        }
    }

    #[test]
    fn updates_of_stock_yjs_are_accepted() {
        // Recorded from Yjs 13.6: text with a character beyond the basic
        // plane, a map entry of an object, formatting, a merge with a skip.
        let text: &[u8] = &[
            1, 1, 1, 0, 4, 1, 1, 116, 17, 104, 101, 108, 108, 111, 32, 240, 159, 152, 128, 32, 119,
            195, 182, 114, 108, 100, 0,
        ];
        assert_eq!(advances(text), [(1, 0, 14)]);
        assert_eq!(
            advances(&item(&[8, 1, 118, 1, 1, b'a', 117, 2, 125, 1, 126])),
            [(1, 0, 1)]
        );
        assert_eq!(
            advances(&item(&[
                6, 4, b'b', b'o', b'l', b'd', 4, b't', b'r', b'u', b'e'
            ]))
            .len(),
            1
        );
        let skip: &[u8] = &[
            1, 3, 9, 0, 4, 1, 1, b't', 1, b'a', 10, 5, 132, 9, 5, 1, b'z', 0,
        ];
        assert_eq!(advances(skip), [(9, 0, 7)]);
        assert!(validate(skip).is_ok_and(|checked| checked.needs_full_read));
        assert_eq!(advances(&[0, 0]), []);
        assert_eq!(advances(&[0, 1, 5, 2, 0, 1, 9, 3]), []);
    }

    #[test]
    fn clocks_that_overflow_are_refused() {
        // Class A: a clock near 2^32, on a document that knows client 1.
        let near = [
            1, 1, 1, 255, 255, 255, 255, 15, 39, 1, 3, 109, 97, 112, 3, 107, 4, 1, 15, 0,
        ];
        assert_eq!(refused(&near), "a number is too large");
        // A length that passes 2^31 from a clock of 1, by a collected block,
        // and one that takes an id's clock to 2^32 - 1 (class H).
        assert_eq!(
            refused(&[1, 1, 1, 1, 0, 128, 128, 128, 128, 8, 0]),
            "a clock is too large"
        );
        assert_eq!(
            refused(&[1, 1, 1, 0, 0, 255, 255, 255, 255, 15, 0]),
            "a number is too large"
        );
        assert_eq!(
            refused(&[0, 1, 1, 1, 1, 128, 128, 128, 128, 8]),
            "a deleted range is empty or too long"
        );
        assert!(
            validate(&[1, 1, 1, 0, 0, 128, 128, 128, 128, 8, 0]).is_ok(),
            "2^31 itself"
        );
    }

    #[test]
    fn deep_values_are_refused() {
        // Class D.
        let nested = |depth: usize| {
            let value = [&[8, 1][..], &[117, 1].repeat(depth), &[126]].concat();
            item(&value)
        };
        assert!(validate(&nested(64)).is_ok());
        assert_eq!(refused(&nested(65)), "a value nests too deep");
        assert_eq!(refused(&nested(10_000)), "a value nests too deep");
        let json = format!("{}{}", "[".repeat(65), "]".repeat(65));
        let embed = [&[5, 130, 1][..], json.as_bytes()].concat();
        assert_eq!(refused(&item(&embed)), "JSON nests too deep");
    }

    #[test]
    fn counts_beyond_the_message_are_refused() {
        // Class F, in each place where a count can be.
        for bytes in [
            &[255, 255, 255, 127][..],
            &[1, 255, 255, 255, 127, 1, 0],
            &[0, 255, 255, 255, 127],
            &[0, 1, 1, 255, 255, 255, 127],
            &item(&[8, 255, 255, 255, 127]),
            &item(&[8, 1, 118, 255, 255, 255, 127]),
            &item(&[4, 255, 255, 255, 127]),
        ] {
            assert_eq!(refused(bytes), "a count is larger than the message");
        }
    }

    #[test]
    fn malformed_updates_are_refused() {
        assert_eq!(refused(&[]), "ends too early");
        assert_eq!(refused(&[0, 0, 0]), "bytes follow the end");
        assert_eq!(refused(&[1, 1, 1, 0, 0, 0, 0]), "an empty block");
        assert_eq!(refused(&item(&[4, 0])), "an empty block");
        assert_eq!(refused(&item(&[4, 1, 0xff])), "a string is not UTF-8");
        assert_eq!(refused(&item(&[5, 1, b'{'])), "JSON does not parse");
        assert_eq!(
            refused(&item(&[2, 1, 1, b'1'])),
            "an unknown kind of content"
        );
        for kind in [0x0b, 0x11, 0x1f] {
            assert_eq!(
                refused(&item(&[kind, 1, 1, 1])),
                "an unknown kind of content"
            );
        }
        for kind in [5, 7, 9, 15] {
            assert_eq!(
                refused(&item(&[7, kind, 1, b'x'])),
                "an unknown shared type"
            );
        }
        let twice = [2, 1, 1, 0, 0, 1, 1, 1, 5, 0, 1, 0];
        assert_eq!(refused(&twice), "a client occurs twice");
        assert_eq!(
            refused(&[0, 2, 3, 1, 0, 1, 3, 1, 5, 1]),
            "a client occurs twice"
        );
        assert_eq!(
            refused(&[1, 1, 1, 4, 0x84, 1, 4, 1, b'x', 0]),
            "a block depends on its own future"
        );
        assert_eq!(
            refused(&[0, 1, 1, 1, 5, 0]),
            "a deleted range is empty or too long"
        );
        let large_id = [1, 1, 128, 128, 128, 128, 128, 128, 128, 16, 0, 0, 1, 0];
        assert_eq!(refused(&large_id), "a number is too large");
    }

    #[test]
    fn updates_that_yjs_and_yrs_read_alike_are_accepted() {
        // A client without blocks, and one without deleted ranges.
        assert_eq!(advances(&[1, 0, 1, 0, 1, 1, 0]), []);
        // The parent of an item is a root type if a 1 says so, and another
        // item's otherwise, whatever the number.
        assert_eq!(advances(&[1, 1, 2, 0, 4, 7, 1, 0, 1, b'x', 0]), [(2, 0, 1)]);
        // The client 0, a key that is empty, and a flag that says nothing of a
        // key where there is a neighbour.
        assert_eq!(
            advances(&[1, 1, 0, 0, 0x24, 1, 0, 0, 1, b'x', 0]),
            [(0, 0, 1)]
        );
        assert_eq!(advances(&[1, 1, 2, 0, 0xa4, 1, 0, 1, b'x', 0]), [(2, 0, 1)]);
        // Deleted ranges that overlap, in no order.
        assert_eq!(advances(&[0, 1, 1, 3, 5, 3, 0, 9, 2, 1]), []);
    }

    #[test]
    fn updates_that_yjs_or_yrs_cannot_read_are_refused() {
        let refused = |bytes: &[u8]| validate(bytes).is_err();
        // A subdocument without options: Yjs throws, while all who are present
        // stay connected and miss what follows.
        assert!(refused(&item(&[9, 1, b'g', 126])));
        assert!(validate(&item(&[9, 1, b'g', 118, 0])).is_ok());
        // Flags on what is no item: Yjs ignores them, yrs reads an item.
        assert!(refused(&[1, 1, 1, 0, 0x80, 3, 0]));
        assert!(refused(&[1, 1, 1, 0, 0x2a, 3, 0]));
        // The bit 0x10 of a kind: yrs ignores it, Yjs knows no such kind.
        assert!(refused(&[1, 1, 1, 0, 0x14, 1, 1, b't', 1, b'x', 0]));
        // A skipped block of no length: nothing in Yjs, malformed in yrs.
        assert!(refused(&[1, 2, 1, 0, 10, 0, 0, 1, 0]));
        // A shared type's number in two bytes: yrs reads one.
        assert!(refused(&item(&[7, 0x81, 0])));
        // A string with half a surrogate pair, as some encoders write it.
        assert!(refused(&item(&[4, 3, 0xed, 0xa0, 0x80])));
        // A format's and an embed's value that only JavaScript parses.
        assert!(refused(&item(&[5, 5, b'1', b'e', b'9', b'9', b'9'])));
        assert!(refused(&item(&[
            6, 1, b'k', 5, b'1', b'e', b'9', b'9', b'9'
        ])));
        assert!(refused(&item(&[
            5, 8, b'"', b'\\', b'u', b'd', b'8', b'0', b'0', b'"'
        ])));
        // A client's deleted ranges in two places: yrs keeps the last.
        assert!(refused(&[0, 2, 1, 1, 0, 1, 1, 1, 5, 1]));
    }

    #[test]
    fn the_advance_of_every_client_is_given() {
        // This shows class H: nobody else may advance a client's clock.
        let bytes = [2, 1, 9, 3, 0, 4, 2, 2, 5, 10, 1, 0, 2, 0];
        assert_eq!(advances(&bytes), [(9, 3, 7), (2, 6, 8)]);
    }
}
