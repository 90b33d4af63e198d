//! A Yjs update (encoding v1) as what it is made of: blocks and deleted ranges.
//!
//! [`read`] is the one pass over bytes from outside. Whatever it hands out is
//! in bounds, of a known kind, depends on nothing of its own client's future
//! and can be decoded by yrs. It knows no document: whether the things that an
//! update refers to exist is decided in `plan`.
//!
//! Two kinds of content that Yjs can name are refused, because yrs 0.28 reads
//! them out of step and would take what follows for something else: `JSON`
//! (2), written by Yjs before version 13, and `XmlHook` (type 5).

use super::lib0::{Malformed, Reader, SAFE_INTEGER_MAX, malformed};
use crate::id::ClientId;

/// The exclusive end of all clocks. Beyond it yrs computes with overflow.
pub(super) const CLOCK_MAX: u32 = 1 << 31;

pub(super) const GC: u8 = 0;
pub(super) const DELETED: u8 = 1;
pub(super) const STRING: u8 = 4;
pub(super) const TYPE: u8 = 7;
pub(super) const ANY: u8 = 8;
pub(super) const SKIP: u8 = 10;

/// Flag of a block's first byte: a left origin follows.
pub(super) const HAS_ORIGIN: u8 = 0x80;
/// Flag of a block's first byte: a right origin follows.
pub(super) const HAS_RIGHT_ORIGIN: u8 = 0x40;
/// Flag of a block's first byte: it is an entry of a map.
pub(super) const HAS_PARENT_SUB: u8 = 0x20;

/// Names one element: the `clock`-th that `client` made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) client: ClientId,
    pub(super) clock: u32,
}

/// Where a block says it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In a root type, or nowhere (collected and skipped blocks).
    Root,
    /// In the type that this element is.
    Inside(Id),
    /// In whatever its neighbours are in.
    Beside(Id, Option<Id>),
}

impl Place {
    /// The elements that have to exist first.
    pub(super) fn needs(self) -> impl Iterator<Item = Id> {
        let (first, second) = match self {
            Place::Root => (None, None),
            Place::Inside(id) => (Some(id), None),
            Place::Beside(id, other) => (Some(id), other),
        };
        first.into_iter().chain(second)
    }
}

/// From `id` on, blocks of this client are in the same type as this place is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) id: Id,
    pub(super) place: Place,
}

/// One block: a run of `len` elements that were made together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) id: Id,
    pub(super) len: u32,
    /// The first byte: the kind of content, and flags.
    pub(super) info: u8,
    pub(super) place: Place,
    /// How many elements at the front have been left out; the bytes have them.
    pub(super) trimmed: u32,
    /// Whether elements at the end have been left out.
    pub(super) cropped: bool,
    /// All of it.
    pub(super) bytes: &'a [u8],
    /// What follows the origins and the parent.
    pub(super) content: &'a [u8],
}

impl<'a> Block<'a> {
    /// The clock after the last element; at most [`CLOCK_MAX`].
    pub(super) fn end(&self) -> u32 {
        self.id.clock + self.len
    }

    /// What is left without the first `known` elements: as in Yjs, it stands
    /// right of them and no longer says what they stand in.
    pub(super) fn tail(self, known: u32) -> Self {
        if known == 0 {
            return self;
        }
        let id = Id {
            clock: self.id.clock + known,
            ..self.id
        };
        let left = Id {
            clock: id.clock - 1,
            ..id
        };
        let place = match self.place {
            _ if self.info == GC => Place::Root,
            Place::Beside(id, other) if self.info & HAS_RIGHT_ORIGIN != 0 => {
                Place::Beside(left, Some(other.unwrap_or(id)))
            }
            _ => Place::Beside(left, None),
        };
        Self {
            id,
            len: self.len - known,
            trimmed: self.trimmed + known,
            place,
            ..self
        }
    }

    /// What is left with only the first `len` elements.
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

    fn read(reader: &mut Reader<'a>, id: Id) -> Result<Self, Malformed> {
        let start = reader.clone();
        let info = reader.byte()?;
        let place = match info {
            GC | SKIP => Place::Root,
            _ => read_place(reader, info)?,
        };
        if place
            .needs()
            .any(|need| need.client == id.client && need.clock >= id.clock)
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

fn read_place(reader: &mut Reader<'_>, info: u8) -> Result<Place, Malformed> {
    let origin = if info & HAS_ORIGIN != 0 {
        Some(read_id(reader)?)
    } else {
        None
    };
    let right = if info & HAS_RIGHT_ORIGIN != 0 {
        Some(read_id(reader)?)
    } else {
        None
    };
    let place = match (origin, right) {
        (Some(id), other) | (None, other @ Some(id)) => {
            return Ok(Place::Beside(id, other.filter(|other| *other != id)));
        }
        (None, None) if reader.var(u32::MAX.into())? == 1 => {
            reader.var_string().map(|_| Place::Root)?
        }
        (None, None) => Place::Inside(read_id(reader)?),
    };
    if info & HAS_PARENT_SUB != 0 {
        reader.var_string()?;
    }
    Ok(place)
}

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
