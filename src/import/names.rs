//! The rooms of imported documents.
//!
//! A document keeps its name if it is a valid name of a room. Otherwise:
//! - a comma or a control character is replaced by its UTF-8 in percent-encoding (`a,b` becomes `a%2Cb`);
//! - of a name that is then longer than 255 bytes, the first 230 are kept, then follow `-` and 16 digits of the
//!   SHA-256 of the name in the source;
//! - no name at all becomes `unnamed`.
//!
//! y-websocket's server takes names from the path of the address as they are, in which browsers have
//! percent-encoded them, while our door decodes them once: so they are decoded here too, and a client that keeps its
//! room's name finds its document.
//!
//! Two documents of a source are never put into one room: the one whose name is the room's keeps it.

use std::{cmp::Reverse, collections::HashMap, fmt::Write};

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::{Origin, contents::Name, refusal::Refusal};
use crate::id::{NAME_BYTES_MAX, RoomName};

const KEPT_BYTES: usize = 230;
const UNNAMED: &str = "unnamed";

/// A document of the source, and its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assigned {
    /// Its name in the source.
    pub(super) name: String,
    /// Its room, or why it has none.
    pub(super) room: Result<RoomName, Refusal>,
    /// Whether its name is not valid here, so that it has another one.
    pub(super) is_renamed: bool,
}

/// Assigns rooms to the documents of `names`, whose order is kept.
pub(super) fn assign(names: Vec<Name>, origin: &Origin) -> Vec<Assigned> {
    let mut assigned: Vec<_> = names.into_iter().map(|name| one(name, origin)).collect();
    let mut places: Vec<usize> = (0..assigned.len()).collect();
    // Those that keep their names come first.
    places.sort_by_key(|place| {
        let of = &assigned[*place];
        let keeps = of.room.as_ref().is_ok_and(|room| room.as_str() == of.name);
        Reverse(keeps)
    });
    // The rooms that are taken, by the names of their documents.
    let mut rooms: HashMap<RoomName, String> = HashMap::new();
    for place in places {
        let Ok(room) = assigned[place].room.clone() else {
            continue;
        };
        match rooms.get(&room) {
            Some(holder) => {
                let holder = holder.clone();
                assigned[place].room = Err(Refusal::RoomTaken { room, holder });
            }
            None => {
                rooms.insert(room, assigned[place].name.clone());
            }
        }
    }
    assigned
}

fn one(name: Name, origin: &Origin) -> Assigned {
    let name = match name {
        Name::Is(name) => name,
        Name::Unreadable(name, reason) => {
            return Assigned {
                name,
                room: Err(Refusal::Damaged(reason.into())),
                is_renamed: false,
            };
        }
    };
    let wanted = match origin {
        Origin::YWebsocket { prefix, .. } => {
            let within = name.strip_prefix(prefix.as_str()).unwrap_or(&name);
            let decoded = percent_decode_str(within).decode_utf8();
            decoded.map_or_else(|_| within.to_owned(), |decoded| decoded.into_owned())
        }
        Origin::Hocuspocus { .. } | Origin::YSweet { .. } => name.clone(),
    };
    let (room, is_renamed) = match RoomName::parse(&wanted) {
        Ok(room) => (room, false),
        Err(_) => (valid(&wanted), true),
    };
    Assigned {
        name,
        room: Ok(room),
        is_renamed,
    }
}

/// A valid name in the place of `name`, which is none.
fn valid(name: &str) -> RoomName {
    let mut room = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_control() || c == ',' {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                // To write to a string cannot fail.
                let _ = write!(room, "%{byte:02X}");
            }
        } else {
            room.push(c);
        }
    }
    if room.is_empty() {
        room.push_str(UNNAMED);
    }
    if room.len() > NAME_BYTES_MAX {
        room.truncate(room.floor_char_boundary(KEPT_BYTES));
        room.push('-');
        for byte in &Sha256::digest(name)[..8] {
            let _ = write!(room, "{byte:02x}");
        }
    }
    RoomName::parse(&room).expect("what is not valid was replaced")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn y_websocket(prefix: &str) -> Origin {
        Origin::YWebsocket {
            folder: "store".into(),
            prefix: prefix.into(),
        }
    }

    fn y_sweet() -> Origin {
        Origin::YSweet {
            folder: "store".into(),
        }
    }

    fn rooms(names: &[&str], origin: &Origin) -> Vec<String> {
        let names = names.iter().map(|name| Name::Is((*name).to_owned()));
        let assigned = assign(names.collect(), origin);
        let room = |of: Assigned| of.room.map_or("-".into(), |room| room.as_str().to_owned());
        assigned.into_iter().map(room).collect()
    }

    #[test]
    fn names_that_are_not_valid_are_replaced_by_names_that_are() {
        let names = ["a b/c", "a,b", "tab\there", "", "a\u{85}"];
        let expected = ["a b/c", "a%2Cb", "tab%09here", "unnamed", "a%C2%85"];
        assert_eq!(rooms(&names, &y_sweet()), expected);
        let (long, other) = ("é".repeat(200), format!("{}e", "é".repeat(199)));
        let replaced = rooms(&[&long, &other], &y_sweet());
        assert!(
            replaced.iter().all(|room| room.len() == 247),
            "{replaced:?}"
        );
        assert_ne!(replaced[0], replaced[1]);
    }

    #[test]
    fn names_of_y_websocket_are_decoded_once_as_our_door_decodes_them() {
        let names = ["team/my%20doc", "100%2525", "%ff", "other"];
        let expected = ["my doc", "100%25", "%ff", "other"];
        assert_eq!(rooms(&names, &y_websocket("team/")), expected);
        assert_eq!(rooms(&["my%20doc"], &y_sweet()), ["my%20doc"]);
    }

    #[test]
    fn no_two_documents_come_into_one_room() {
        assert_eq!(rooms(&["a,b", "a%2Cb"], &y_sweet()), ["-", "a%2Cb"]);
        assert_eq!(rooms(&["a%62", "ab"], &y_websocket("")), ["-", "ab"]);
        assert_eq!(rooms(&["x/ab", "ab"], &y_websocket("x/")), ["-", "ab"]);
    }
}
