//! How long it takes to open documents of 10 MB, of one or many authors, with client ids in any order. Prints the
//! processor time for each; without an argument for all of them.
//!
//! ```sh
//! cargo run --release -p document --example open
//! cargo run --release -p document --example open -- "100 interleaved random"
//! ```

use std::cmp::Reverse;

use cpu_time::ThreadTime;
use document::{Document, PendingLimits, validate};

const BYTES: usize = 10_000_000;
/// A block takes so many bytes, on average.
const BLOCK_BYTES: usize = 26;
const LIMITS: PendingLimits = PendingLimits {
    updates_max: 1_000,
    bytes_max: 1 << 20,
};

/// How the authors write.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turns {
    /// Each block is another one's, by chance.
    Interleaved,
    /// One begins when the one before has finished.
    Sequential,
}

/// What one author wrote.
#[derive(Clone, Default)]
struct Author {
    id: u64,
    clock: u32,
    count: u64,
    blocks: Vec<u8>,
    deleted: Vec<(u32, u32)>,
}

fn main() {
    let only = std::env::args().nth(1);
    for (authors, turns) in [
        (1, Turns::Sequential),
        (4, Turns::Interleaved),
        (4, Turns::Sequential),
        (100, Turns::Interleaved),
        (100, Turns::Sequential),
        (2_000, Turns::Interleaved),
        (2_000, Turns::Sequential),
    ] {
        for order in ["rising", "falling", "random"] {
            let name = format!("{authors} {turns:?} {order}").to_lowercase();
            if only.as_ref().is_none_or(|only| *only == name) {
                open(&name, &written(authors, turns, order));
            }
        }
    }
}

/// Opens the document that `update` makes, as a snapshot has it.
fn open(name: &str, update: &[u8]) {
    let restored = |bytes: &[u8]| {
        let checked = validate(bytes).expect("valid");
        let mut document = Document::new(LIMITS);
        document.restore(bytes, &checked).expect("restores");
        document
    };
    let snapshot = restored(update).encode().expect("sound");
    let began = ThreadTime::now();
    let document = restored(&snapshot);
    let opened = began.elapsed();
    document.deletions_hash().expect("sound");
    let hashed = began.elapsed() - opened;
    let megabytes = snapshot.len() as f64 / 1e6;
    println!(
        "{name}: {megabytes:.1} MB opened in {opened:.0?}, its deletions hashed in {hashed:.1?}"
    );
}

/// A text whose authors wrote most blocks at its end, others up to 2,000 blocks before it, and deleted a fifth.
fn written(count: usize, turns: Turns, order: &str) -> Vec<u8> {
    let mut random = Random(88_172_645_463_325_252);
    let mut authors = vec![Author::default(); count];
    for (at, author) in authors.iter_mut().enumerate() {
        author.id = 1_000_000 + at as u64 * 2_000_003;
    }
    match order {
        "rising" => {}
        "falling" => authors.reverse(),
        _ => (1..count).for_each(|at| authors.swap(at, random.below(at + 1))),
    }
    let total = BYTES / BLOCK_BYTES;
    // The first and the last element of each block, in the order of the text.
    let mut text: Vec<[(u64, u32); 2]> = Vec::with_capacity(total);
    for number in 0..total {
        let by = match turns {
            Turns::Interleaved => random.below(count),
            Turns::Sequential => number * count / total,
        };
        let back = match random.below(10) {
            0..7 => 0,
            _ => random.below(2_000.min(text.len() + 1)),
        };
        let place = text.len() - back;
        let left = place.checked_sub(1).map(|before| text[before][1]);
        let right = text.get(place).map(|behind| behind[0]);
        let ends = authors[by].write(left, right, &mut random);
        text.insert(place, ends);
    }
    authors.sort_by_key(|author| Reverse(author.id));
    update(&authors)
}

impl Author {
    /// Writes a block between two elements, and returns its first and its last one.
    fn write(
        &mut self,
        left: Option<(u64, u32)>,
        right: Option<(u64, u32)>,
        random: &mut Random,
    ) -> [(u64, u32); 2] {
        let (start, len) = (self.clock, 5 + random.below(30) as u32);
        let is_deleted = random.below(5) == 0;
        let kind = if is_deleted { 1 } else { 4 };
        let out = &mut self.blocks;
        out.push(kind | u8::from(left.is_some()) << 7 | u8::from(right.is_some()) << 6);
        for (client, clock) in left.into_iter().chain(right) {
            number(out, client);
            number(out, clock.into());
        }
        if left.is_none() && right.is_none() {
            out.extend([1, 1, b't']);
        }
        number(out, len.into());
        match is_deleted {
            true => self.deleted.push((start, len)),
            false => out.extend((0..len).map(|at| b'a' + (at % 26) as u8)),
        }
        self.clock += len;
        self.count += 1;
        [(self.id, start), (self.id, self.clock - 1)]
    }
}

fn update(authors: &[Author]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 * BYTES);
    number(&mut out, authors.len() as u64);
    for author in authors {
        number(&mut out, author.count);
        number(&mut out, author.id);
        number(&mut out, 0);
        out.extend(&author.blocks);
    }
    number(&mut out, authors.len() as u64);
    for author in authors {
        number(&mut out, author.id);
        number(&mut out, author.deleted.len() as u64);
        for (start, len) in &author.deleted {
            number(&mut out, (*start).into());
            number(&mut out, (*len).into());
        }
    }
    out
}

/// Writes a number of variable length.
fn number(out: &mut Vec<u8>, mut number: u64) {
    while number > 127 {
        out.push(128 | (number & 127) as u8);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A small generator (xorshift), so that every run has the same documents.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
