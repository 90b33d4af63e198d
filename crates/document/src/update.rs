//! The parts of a Yjs update (encoding v1): blocks and deletions.
//!
//! [`read`] is the one pass over bytes from outside. Whatever it hands out is
//! in bounds, of a known kind, depends on no later element of its own client
//! and can be decoded by yrs. It knows no document: whether the elements that an
//! update refers to exist is decided in `cut`.
//!
//! Two kinds of content that Yjs can name are refused, because yrs 0.28 reads
//! them out of step and would take what follows for something else: `JSON`
//! (2), written by Yjs before version 13, and `XmlHook` (type 5).

use std::hash::BuildHasher;
use std::sync::LazyLock;

use super::lib0::{Malformed, Reader, SAFE_INTEGER_MAX, malformed};
use crate::ClientId;

/// The exclusive end of all clocks. Beyond it yrs computes with overflow.
pub(super) const CLOCK_MAX: u32 = 1 << 31;

pub(super) const GC: u8 = 0;
pub(super) const DELETED: u8 = 1;
pub(super) const STRING: u8 = 4;
pub(super) const TYPE: u8 = 7;
pub(super) const ANY: u8 = 8;
pub(super) const SKIP: u8 = 10;

/// The kinds of content that `edit` writes besides.
pub(super) const EMBED: u8 = 5;
pub(super) const FORMAT: u8 = 6;

/// Flag of a block's first byte: a left origin follows.
pub(super) const HAS_ORIGIN: u8 = 0x80;
/// Flag of a block's first byte: a right origin follows.
pub(super) const HAS_RIGHT_ORIGIN: u8 = 0x40;
/// Flag of a block's first byte: it is an entry of a map.
pub(super) const HAS_PARENT_SUB: u8 = 0x20;

/// The id of an element: the `clock`-th that `client` made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Id {
    pub(super) client: ClientId,
    pub(super) clock: u32,
}

/// Where a block says it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it is collected, or skipped.
    Nowhere,
    /// In a root type.
    Root,
    /// In the type that this element is.
    Inside(Id),
    /// In whatever its neighbours, its left and its right origin, are in; one of them is there.
    Beside(Option<Id>, Option<Id>),
}

impl Place {
    /// The elements that have to exist before.
    pub(super) fn dependencies(self) -> impl Iterator<Item = Id> {
        let (first, second) = match self {
            Place::Nowhere | Place::Root => (None, None),
            Place::Inside(id) => (Some(id), None),
            Place::Beside(left, right) => (left, right),
        };
        first.into_iter().chain(second)
    }

    /// The left origin.
    pub(super) fn left(self) -> Option<Id> {
        match self {
            Place::Beside(left, _) => left,
            _ => None,
        }
    }

    /// The right origin.
    pub(super) fn right(self) -> Option<Id> {
        match self {
            Place::Beside(_, right) => right,
            _ => None,
        }
    }
}

/// The elements of a block without their content: the first one, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) id: Id,
    pub(super) place: Place,
    /// Which root, and which key of a map, as a hash; of no meaning where the place has neither.
    pub(super) names: u64,
    /// Whether it can be split.
    pub(super) extent: Extent,
}

/// Whether a block can be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// It is one element, or several without content.
    One,
    /// It is several elements.
    Several,
}

impl Run {
    /// Whether it stands right of what the same client made just before it.
    pub(super) fn continues(self) -> bool {
        let Id { client, clock } = self.id;
        match self.place {
            Place::Nowhere => true,
            Place::Beside(Some(left), _) => left.client == client && left.clock + 1 == clock,
            _ => false,
        }
    }
}

/// One block: a run of `len` elements that were made together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) id: Id,
    pub(super) len: u32,
    /// The first byte: the kind of content, and flags.
    pub(super) info: u8,
    pub(super) place: Place,
    /// As in [`Run`].
    names: u64,
    /// How many elements at the front have been left out; the bytes have them.
    pub(super) trimmed: u32,
    /// Whether elements at the end have been left out.
    pub(super) cropped: bool,
    /// The bytes of the block.
    pub(super) bytes: &'a [u8],
    /// The bytes behind the origins and the parent.
    pub(super) content: &'a [u8],
}

impl<'a> Block<'a> {
    /// The clock after the last element; at most [`CLOCK_MAX`].
    pub(super) fn end(&self) -> u32 {
        self.id.clock + self.len
    }

    /// The block without its first `count` elements: as in Yjs, it stands
    /// right of them and no longer names its parent.
    pub(super) fn tail(self, count: u32) -> Self {
        if count == 0 {
            return self;
        }
        let id = Id {
            clock: self.id.clock + count,
            ..self.id
        };
        let left = Id {
            clock: id.clock - 1,
            ..id
        };
        let place = match self.place {
            Place::Nowhere => Place::Nowhere,
            place => Place::Beside(Some(left), place.right()),
        };
        Self {
            id,
            len: self.len - count,
            trimmed: self.trimmed + count,
            place,
            ..self
        }
    }

    /// Only the first `len` elements of the block.
    pub(super) fn head(self, len: u32) -> Self {
        Self {
            len,
            cropped: self.cropped || len < self.len,
            ..self
        }
    }

    /// The kind of content.
    pub(super) fn kind(&self) -> u8 {
        self.info & 0x1f
    }

    /// Where it stands.
    pub(super) fn run(&self) -> Run {
        Run {
            id: self.id,
            place: self.place,
            names: self.names,
            extent: match matches!(self.kind(), STRING | ANY) && self.len > 1 {
                true => Extent::Several,
                false => Extent::One,
            },
        }
    }

    /// The name of its root and its key, as far as it gives them. A block with a neighbour gives
    /// neither.
    pub(super) fn names(&self) -> (Option<&'a str>, Option<&'a str>) {
        let is_first = self.trimmed == 0 && self.info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0;
        if !is_first || !matches!(self.place, Place::Root | Place::Inside(_)) {
            return (None, None);
        }
        let mut reader = Reader::new(&self.bytes[1..]);
        read_names(&mut reader, self.info).map_or((None, None), |(_, root, key)| (root, key))
    }

    /// The same elements, as collected.
    pub(super) fn collected(self) -> Self {
        Self {
            info: GC,
            place: Place::Nowhere,
            names: 0,
            ..self
        }
    }

    fn read(reader: &mut Reader<'a>, id: Id) -> Result<Self, Malformed> {
        let start = reader.clone();
        let info = reader.byte()?;
        let (place, names) = match info {
            GC | SKIP => (Place::Nowhere, 0),
            _ => read_place(reader, info)?,
        };
        if place
            .dependencies()
            .any(|other| other.client == id.client && other.clock >= id.clock)
        {
            return malformed("a block depends on its own future");
        }
        let content = reader.clone();
        let len = match info {
            GC | SKIP => reader.var(CLOCK_MAX.into())?,
            _ => read_content(reader, info & 0x1f)?,
        };
        match u32::try_from(len) {
            Ok(len) if (1..=CLOCK_MAX - id.clock).contains(&len) => {
                let (bytes, content) = (reader.since(&start), reader.since(&content));
                Ok(Self {
                    id,
                    len,
                    info,
                    place,
                    names,
                    trimmed: 0,
                    cropped: false,
                    bytes,
                    content,
                })
            }
            Ok(0) => malformed("an empty block"),
            _ => malformed("a clock is too large"),
        }
    }
}

/// A part of an update, in the order of its bytes.
pub(super) enum Part<'a> {
    /// The blocks of this client follow, each beginning where the one before it ends.
    Client(ClientId),
    /// A block of that client.
    Block(Block<'a>),
    /// The deleted ranges of this client follow.
    Deletes(ClientId),
    /// A deleted range: from `start` up to, without, `end`.
    Delete { start: u32, end: u32 },
}

/// Reads all of `bytes` and hands each part to `visit`.
///
/// # Errors
/// If stock Yjs or yrs could not decode it, or if it passes a limit. `visit`
/// has then seen the parts before the fault.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    mut visit: impl FnMut(Part<'a>) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    let mut reader = Reader::new(bytes);
    for _ in 0..reader.count()? {
        let blocks = reader.count()?;
        let mut id = read_id(&mut reader)?;
        visit(Part::Client(id.client))?;
        for _ in 0..blocks {
            let block = Block::read(&mut reader, id)?;
            id.clock = block.end();
            visit(Part::Block(block))?;
        }
    }
    for _ in 0..reader.count()? {
        visit(Part::Deletes(reader.var(SAFE_INTEGER_MAX)?))?;
        for _ in 0..reader.count()? {
            let start = read_clock(&mut reader)?;
            let len = read_clock(&mut reader)?;
            if len == 0 || len > CLOCK_MAX - start {
                return malformed("a deleted range is empty or too long");
            }
            visit(Part::Delete {
                start,
                end: start + len,
            })?;
        }
    }
    reader.finish()
}

/// A clock; what is read is at most [`CLOCK_MAX`], so the cast is exact.
pub(super) fn read_clock(reader: &mut Reader<'_>) -> Result<u32, Malformed> {
    reader.var(CLOCK_MAX.into()).map(|clock| clock as u32)
}

pub(super) fn read_id(reader: &mut Reader<'_>) -> Result<Id, Malformed> {
    Ok(Id {
        client: reader.var(SAFE_INTEGER_MAX)?,
        clock: read_clock(reader)?,
    })
}

fn read_place(reader: &mut Reader<'_>, info: u8) -> Result<(Place, u64), Malformed> {
    let mut origin = |flag| match info & flag {
        0 => Ok(None),
        _ => read_id(reader).map(Some),
    };
    let (left, right) = (origin(HAS_ORIGIN)?, origin(HAS_RIGHT_ORIGIN)?);
    if left.or(right).is_some() {
        return Ok((Place::Beside(left, right), 0));
    }
    let (place, root, key) = read_names(reader, info)?;
    Ok((place, hash_names(root, key)))
}

/// A place, the name of its root if it is in one, and the key that it is under if it is under one.
type Names<'a> = (Place, Option<&'a str>, Option<&'a str>);

/// Reads the parent of a block without neighbours.
fn read_names<'a>(reader: &mut Reader<'a>, info: u8) -> Result<Names<'a>, Malformed> {
    // Anything but 1 is an element, as in Yjs.
    let (place, root) = match reader.var(u32::MAX.into())? {
        1 => (Place::Root, Some(reader.var_string()?)),
        _ => (Place::Inside(read_id(reader)?), None),
    };
    let key = match info & HAS_PARENT_SUB {
        0 => None,
        _ => Some(reader.var_string()?),
    };
    Ok((place, root, key))
}

/// The hash of a root's name and of a key, as far as there are such. Its lowest bit
/// is set if there is a key.
pub(super) fn hash_names(root: Option<&str>, key: Option<&str>) -> u64 {
    // Names are compared by their hashes, so this one is of the kind for which nobody can choose
    // names that collide.
    static KEY: LazyLock<std::hash::RandomState> = LazyLock::new(std::hash::RandomState::new);
    let hash = KEY.hash_one((root, key)) & !KEYED;
    hash | u64::from(key.is_some())
}

pub(super) const KEYED: u64 = 1;

/// Steps over an item's content and gives its length in elements.
fn read_content(reader: &mut Reader<'_>, kind: u8) -> Result<u64, Malformed> {
    match kind {
        DELETED => return reader.var(CLOCK_MAX.into()),
        STRING => return Ok(utf16_len(reader.var_string()?)),
        ANY => {
            let count = reader.count()?;
            for _ in 0..count {
                reader.any()?;
            }
            return Ok(count as u64);
        }
        3 => reader.var_bytes().map(drop)?,
        5 => reader.json().map(drop)?,
        6 => {
            reader.var_string()?;
            reader.json()?;
        }
        TYPE => match reader.byte()? {
            0 | 1 | 2 | 4 | 6 => {}
            3 => reader.var_string().map(drop)?,
            _ => return malformed("an unknown shared type"),
        },
        9 => {
            reader.var_string()?;
            reader.subdocument_options()?;
        }
        _ => return malformed("an unknown kind of content"),
    }
    Ok(1)
}

/// The length of `text` as JavaScript counts: two for a character beyond the basic plane.
pub(super) fn utf16_len(text: &str) -> u64 {
    text.bytes()
        .map(|byte| u64::from(byte & 0xc0 != 0x80) + u64::from(byte >= 0xf0))
        .sum()
}
