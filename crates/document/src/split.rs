//! Splits an update into several smaller ones, on the bytes: nothing is decoded and encoded anew.
//!
//! The blocks of one client are grouped into steps, which stay where they
//! are in the bytes. Steps go into parts in an order in which the dependencies of each come
//! before it; a part copies, for each client, one run of bytes. Only a block that is
//! larger than a part is encoded anew, as several blocks.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    ops::Range,
};

use super::lib0::{Malformed, Reader, write_var, write_var_string};
use super::update::{ANY, Block, HAS_ORIGIN, Id, Part, SKIP, STRING, read, utf16_len};
use crate::ClientId;

/// About how many bytes the beginning of a client's section takes.
const SECTION_BYTES: usize = 16;
/// The most bytes that a block takes that only skips clocks.
const SKIP_BYTES: usize = 6;
/// Parts are no smaller than this, whatever is asked for.
const PART_BYTES_MIN: usize = 64;

/// Splits an update of encoding v1 into updates of about `bytes_max` bytes at most.
///
/// Applied in their order they have the effect of the whole, and the dependencies of each are
/// in those before it, or outside of the update like those of the whole; deletions come
/// last. Texts and arrays of values are split inside, never within a surrogate pair; a
/// part is larger only if it holds a single value that is larger. Takes time linear in the
/// length. `None` only for bytes that would not pass [`validate`](super::validate()).
pub fn split(bytes: &[u8], bytes_max: usize) -> Option<Vec<Vec<u8>>> {
    let bytes_max = bytes_max.max(PART_BYTES_MIN);
    let layout = Layout::read(bytes, bytes_max).ok()?;
    if bytes.len() <= bytes_max {
        return Some(vec![bytes.to_vec()]);
    }
    let mut parts = Parts::new(&layout, bytes, bytes_max);
    layout.in_order(|section, step| parts.add(section, step));
    parts.close();
    parts.delete(&layout.deletes);
    Some(parts.done)
}

/// Blocks of one client that go into the same part.
struct Step<'a> {
    /// Where they are in the update.
    bytes: Range<usize>,
    clock: u32,
    blocks: u64,
    /// How many blocks that only skip clocks lie between them and the step before.
    skips: u64,
    /// Where in [`Layout::dependencies`] their dependencies end.
    dependencies_end: usize,
    /// The only block, where it has to be split.
    large: Option<Box<Block<'a>>>,
}

/// The steps of one client.
struct Section {
    client: ClientId,
    steps: Range<usize>,
}

/// The parts of an update, in the order of its bytes.
#[derive(Default)]
struct Layout<'a> {
    sections: Vec<Section>,
    steps: Vec<Step<'a>>,
    /// The elements of other clients that the steps depend on, in the order of the steps.
    dependencies: Vec<Id>,
    deletes: Vec<(ClientId, Range<u32>)>,
}

impl<'a> Layout<'a> {
    fn read(bytes: &'a [u8], bytes_max: usize) -> Result<Self, Malformed> {
        let (mut layout, mut skips, mut deleting) = (Layout::default(), 0, 0);
        read(bytes, |part| {
            match part {
                Part::Client(client) => {
                    let end = layout.steps.len();
                    layout.sections.push(Section {
                        client,
                        steps: end..end,
                    });
                    skips = 0;
                }
                Part::Block(block) if block.info == SKIP => skips += 1,
                Part::Block(block) => {
                    // A slice of `bytes`, which its address places.
                    let start = block.bytes.as_ptr().addr() - bytes.as_ptr().addr();
                    layout.block(block, start, std::mem::take(&mut skips), bytes_max);
                }
                Part::Deletes(client) => deleting = client,
                Part::Delete { start, end } => layout.deletes.push((deleting, start..end)),
            }
            Ok(())
        })?;
        Ok(layout)
    }

    fn block(&mut self, block: Block<'a>, start: usize, skips: u64, bytes_max: usize) {
        let Some(section) = self.sections.last_mut() else {
            return;
        };
        let end = start + block.bytes.len();
        let before = self.dependencies.len();
        let of_others = |id: &Id| id.client != section.client;
        self.dependencies
            .extend(block.place.dependencies().filter(of_others));
        let last = match section.steps.is_empty() || skips > 0 || self.dependencies.len() > before {
            true => None,
            false => self.steps.last_mut(),
        };
        // Small enough that parts come out about as large as they may be.
        let fits = |step: &&mut Step<'_>| end - step.bytes.start <= bytes_max / 8;
        if let Some(step) = last.filter(fits) {
            step.bytes.end = end;
            step.blocks += 1;
            return;
        }
        let divisible = matches!(block.kind(), STRING | ANY) && block.len > 1;
        let is_large = divisible && block.bytes.len() + SECTION_BYTES > bytes_max;
        self.steps.push(Step {
            bytes: start..end,
            clock: block.id.clock,
            blocks: 1,
            skips,
            dependencies_end: self.dependencies.len(),
            large: is_large.then(|| Box::new(block)),
        });
        section.steps.end = self.steps.len();
    }

    fn dependencies(&self, step: usize) -> &[Id] {
        let start = match step {
            0 => 0,
            _ => self.steps[step - 1].dependencies_end,
        };
        &self.dependencies[start..self.steps[step].dependencies_end]
    }

    /// Hands out section and number of each step, after those that it depends on. Those
    /// that depend on one another, which no replica can ever integrate, come last.
    fn in_order(&self, mut emit: impl FnMut(usize, usize)) {
        let places: HashMap<ClientId, usize> = self
            .sections
            .iter()
            .enumerate()
            .map(|(at, section)| (section.client, at))
            .collect();
        let mut next: Vec<usize> = self.sections.iter().map(|it| it.steps.start).collect();
        // For each section, the sections that depend on one of its clocks.
        let mut waiting: Vec<BinaryHeap<Reverse<(u32, usize)>>> = Vec::new();
        waiting.resize_with(self.sections.len(), BinaryHeap::new);
        let mut ready: Vec<usize> = (0..self.sections.len()).rev().collect();
        while let Some(at) = ready.pop() {
            let end = self.sections[at].steps.end;
            while next[at] < end {
                let missing = self.dependencies(next[at]).iter().find_map(|id| {
                    let place = *places.get(&id.client)?;
                    let then = self.clock_of(place, next[place])?;
                    (id.clock >= then).then_some((place, id.clock))
                });
                if let Some((place, clock)) = missing {
                    waiting[place].push(Reverse((clock, at)));
                    break;
                }
                emit(at, next[at]);
                next[at] += 1;
            }
            let reached = self.clock_of(at, next[at]);
            while let Some(Reverse((clock, waiter))) = waiting[at].peek().copied()
                && reached.is_none_or(|reached| clock < reached)
            {
                waiting[at].pop();
                ready.push(waiter);
            }
        }
        for (at, section) in self.sections.iter().enumerate() {
            (next[at]..section.steps.end).for_each(|step| emit(at, step));
        }
    }

    /// The clock at which a step of a section begins; `None` behind its last one.
    fn clock_of(&self, section: usize, step: usize) -> Option<u32> {
        let steps = &self.sections[section].steps;
        (step < steps.end).then(|| self.steps[step].clock)
    }
}

/// The parts that are being made.
struct Parts<'a> {
    layout: &'a Layout<'a>,
    bytes: &'a [u8],
    bytes_max: usize,
    done: Vec<Vec<u8>>,
    /// For each section, its steps in the part that is open.
    open: Vec<Range<usize>>,
    /// The sections that have steps in it.
    touched: Vec<usize>,
    open_bytes: usize,
}

impl<'a> Parts<'a> {
    fn new(layout: &'a Layout<'a>, bytes: &'a [u8], bytes_max: usize) -> Self {
        Self {
            layout,
            bytes,
            bytes_max,
            done: Vec::with_capacity(bytes.len() / bytes_max + 1),
            open: vec![0..0; layout.sections.len()],
            touched: Vec::new(),
            open_bytes: 0,
        }
    }

    fn add(&mut self, section: usize, at: usize) {
        let step = &self.layout.steps[at];
        if let Some(block) = &step.large {
            self.close();
            split_block(block, self.bytes_max, &mut self.done);
            return;
        }
        let is_begun = self.open[section].start < self.open[section].end;
        let before = match is_begun {
            true => SKIP_BYTES * step.skips as usize,
            false => SECTION_BYTES,
        };
        if self.open_bytes + before + step.bytes.len() > self.bytes_max {
            self.close();
        }
        let steps = &mut self.open[section];
        if steps.start == steps.end {
            *steps = at..at;
            self.touched.push(section);
            self.open_bytes += SECTION_BYTES;
        } else {
            self.open_bytes += before;
        }
        self.open_bytes += step.bytes.len();
        steps.end = at + 1;
    }

    /// Ends the part that is open, if there is anything in it.
    fn close(&mut self) {
        self.open_bytes = 0;
        let mut touched = std::mem::take(&mut self.touched);
        if touched.is_empty() {
            return;
        }
        // Higher clients first, as Yjs writes them.
        touched.sort_by_key(|section| Reverse(self.layout.sections[*section].client));
        let mut out = Vec::with_capacity(self.bytes_max);
        write_var(&mut out, touched.len() as u64);
        for section in touched {
            let steps = std::mem::replace(&mut self.open[section], 0..0);
            let client = self.layout.sections[section].client;
            write_section(&mut out, client, &self.layout.steps[steps], self.bytes);
        }
        write_var(&mut out, 0);
        self.done.push(out);
    }

    /// Adds the parts with the deletions.
    fn delete(&mut self, deletes: &[(ClientId, Range<u32>)]) {
        /// The most bytes that the two numbers of a range take.
        const RANGE_BYTES: usize = 10;
        for part in deletes.chunks(self.bytes_max.div_ceil(RANGE_BYTES)) {
            let mut out = Vec::new();
            write_var(&mut out, 0);
            let clients = part.chunk_by(|a, b| a.0 == b.0);
            write_var(&mut out, clients.clone().count() as u64);
            for ranges in clients {
                write_var(&mut out, ranges[0].0);
                write_var(&mut out, ranges.len() as u64);
                for (_, range) in ranges {
                    write_var(&mut out, range.start.into());
                    write_var(&mut out, (range.end - range.start).into());
                }
            }
            self.done.push(out);
        }
    }
}

/// Writes steps of one client that follow one another.
fn write_section(out: &mut Vec<u8>, client: ClientId, steps: &[Step<'_>], bytes: &[u8]) {
    let [first, rest @ ..] = steps else { return };
    let between: u64 = rest.iter().map(|step| step.skips + step.blocks).sum();
    let end = steps.last().map_or(first.bytes.end, |step| step.bytes.end);
    write_var(out, first.blocks + between);
    write_var(out, client);
    write_var(out, first.clock.into());
    out.extend_from_slice(&bytes[first.bytes.start..end]);
}

/// Adds the parts that a single block is split into.
fn split_block(block: &Block<'_>, bytes_max: usize, parts: &mut Vec<Vec<u8>>) {
    // The text and the values were read when the block was: nothing fails here.
    let mut content = Reader::new(block.content);
    let mut done = 0;
    if block.kind() == STRING {
        let mut text = content.var_string().unwrap_or_default();
        while !text.is_empty() {
            let whole = text.floor_char_boundary(bytes_max);
            let (part, rest) = text.split_at(whole);
            let mut out = begin_part(block, done);
            write_var_string(&mut out, part);
            parts.push(end_part(out));
            // A block has fewer than 2^31 elements.
            done += utf16_len(part) as u32;
            text = rest;
        }
        return;
    }
    let count = content.count().unwrap_or_default() as u32;
    while done < count {
        let (start, mut values) = (content.clone(), 0);
        while done + values < count {
            let mut further = content.clone();
            let _ = further.any();
            if values > 0 && further.since(&start).len() > bytes_max {
                break;
            }
            (content, values) = (further, values + 1);
        }
        let mut out = begin_part(block, done);
        write_var(&mut out, values.into());
        out.extend_from_slice(content.since(&start));
        parts.push(end_part(out));
        done += values;
    }
}

/// The beginning of an update of `block` without its first `done` elements.
fn begin_part(block: &Block<'_>, done: u32) -> Vec<u8> {
    let rest = block.tail(done);
    let mut out = Vec::new();
    for number in [1, 1, rest.id.client, rest.id.clock.into()] {
        write_var(&mut out, number);
    }
    if done == 0 {
        out.extend_from_slice(&block.bytes[..block.bytes.len() - block.content.len()]);
    } else {
        out.push(block.info | HAS_ORIGIN);
        for id in rest.place.dependencies() {
            write_var(&mut out, id.client);
            write_var(&mut out, id.clock.into());
        }
    }
    out
}

fn end_part(mut out: Vec<u8>) -> Vec<u8> {
    write_var(&mut out, 0);
    out
}
