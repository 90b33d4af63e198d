//! A table: blocks of sorted entries, and an index of the blocks.

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use super::{
    Damage,
    key::InternalKey,
    manifest::TableFile,
    reader::{Reader, unmasked},
};

const FOOTER_BYTES: u64 = 48;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// The kind of compression and the checksum, behind each block.
const TRAILER_BYTES: usize = 5;
/// No block is as large: a value has its block for itself if it is larger than 4 KiB.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// An entry of a table: a change and the value.
pub(crate) type TableEntry = (InternalKey, Vec<u8>);

/// The entries of a table from a key on.
#[derive(Debug)]
pub(crate) struct Table {
    file: File,
    name: String,
    /// The blocks that were not read yet, the next one last.
    blocks: Vec<Handle>,
    /// The entries of the present block, the next one last.
    entries: Vec<TableEntry>,
}

#[derive(Clone, Copy, Debug)]
struct Handle {
    offset: u64,
    bytes: usize,
}

impl Table {
    /// Opens a table at the first entry whose key is `start` or behind it.
    pub(crate) fn open(folder: &Path, table: &TableFile, start: &[u8]) -> Result<Self, Damage> {
        let (name, file) = open(folder, table.number)?;
        let damage = |reason: String| Damage {
            file: name.clone(),
            reason,
        };
        let blocks = index(&file).map_err(damage)?;
        let mut wanted: Vec<Handle> = blocks
            .into_iter()
            .filter(|(last, _)| last.as_slice() >= start)
            .map(|(_, handle)| handle)
            .collect();
        wanted.reverse();
        Ok(Self {
            file,
            name,
            blocks: wanted,
            entries: Vec::new(),
        })
    }

    /// The next entry. After a damage, those of the next block follow.
    pub(crate) fn next(&mut self) -> Option<Result<TableEntry, Damage>> {
        loop {
            if let Some(entry) = self.entries.pop() {
                return Some(Ok(entry));
            }
            let handle = self.blocks.pop()?;
            match block(&self.file, handle).and_then(|block| table_entries(&block)) {
                Ok(entries) => self.entries = entries,
                Err(reason) => {
                    let reason = format!("the block at byte {} {reason}", handle.offset);
                    return Some(Err(Damage {
                        file: self.name.clone(),
                        reason,
                    }));
                }
            }
        }
    }
}

/// Opens the file of a table, whose name has one of two endings.
fn open(folder: &Path, number: u64) -> Result<(String, File), Damage> {
    let mut failure = None;
    for ending in ["ldb", "sst"] {
        let name = format!("{number:06}.{ending}");
        match File::open(folder.join(&name)) {
            Ok(file) => return Ok((name, file)),
            Err(error) => failure = failure.or(Some((name, error))),
        }
    }
    let (file, reason) = failure.map_or_else(Default::default, |(name, error)| {
        (name, format!("cannot be opened: {error}"))
    });
    Err(Damage { file, reason })
}

/// The last key of each block, or a key between it and the next block, and where the block is.
fn index(file: &File) -> Result<Vec<(Vec<u8>, Handle)>, String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut footer = [0; FOOTER_BYTES as usize];
    let at = length
        .checked_sub(FOOTER_BYTES)
        .ok_or("the file is too short")?;
    file.read_exact_at(&mut footer, at)
        .map_err(|error| error.to_string())?;
    let (handles, magic) = footer.split_at(FOOTER_BYTES as usize - 8);
    let mut handles = Reader(handles);
    let index = Handle::read(&mut handles).and_then(|_| Handle::read(&mut handles));
    let index = index.filter(|_| Reader(magic).u64() == Some(MAGIC));
    let index = index.ok_or("the end of the file is not that of a table")?;
    let block = block(file, index).map_err(|reason| format!("the index {reason}"))?;
    let entries = table_entries(&block).map_err(|reason| format!("the index {reason}"))?;
    let mut blocks = Vec::with_capacity(entries.len());
    for (key, handle) in entries.into_iter().rev() {
        let handle = Handle::read(&mut Reader(&handle));
        blocks.push((key.user, handle.ok_or("the index is malformed")?));
    }
    Ok(blocks)
}

impl Handle {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (offset, bytes) = (reader.varint()?, reader.length()?);
        (bytes <= BLOCK_BYTES_MAX).then_some(Self { offset, bytes })
    }
}

/// Reads a block, checks it and decompresses it.
fn block(file: &File, at: Handle) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; at.bytes + TRAILER_BYTES];
    file.read_exact_at(&mut bytes, at.offset)
        .map_err(|error| format!("cannot be read: {error}"))?;
    let (checked, stored) = bytes.split_at(at.bytes + 1);
    let stored = Reader(stored).u32().map(unmasked);
    if stored != Some(crc32c::crc32c(checked)) {
        return Err("fails its checksum".into());
    }
    match checked[at.bytes] {
        0 => {
            bytes.truncate(at.bytes);
            Ok(bytes)
        }
        1 => snap::raw::Decoder::new()
            .decompress_vec(&checked[..at.bytes])
            .map_err(|error| format!("cannot be decompressed: {error}")),
        kind => Err(format!("is compressed in a way that is not known ({kind})")),
    }
}

/// The entries of a block, the last one first.
fn table_entries(block: &[u8]) -> Result<Vec<TableEntry>, String> {
    entries_of(block).ok_or_else(|| "is malformed".into())
}

fn entries_of(block: &[u8]) -> Option<Vec<TableEntry>> {
    // Behind the entries are the places of those with whole keys, and their number.
    let (rest, restarts) = block.split_at_checked(block.len().checked_sub(4)?)?;
    let restarts = usize::try_from(Reader(restarts).u32()?).ok()?;
    let end = rest.len().checked_sub(restarts.checked_mul(4)?)?;
    let mut reader = Reader(&rest[..end]);
    let mut entries = Vec::new();
    let mut key = Vec::new();
    while !reader.0.is_empty() {
        let (shared, own, value) = (reader.length()?, reader.length()?, reader.length()?);
        if shared > key.len() {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(reader.take(own)?);
        entries.push((InternalKey::parse(&key)?, reader.take(value)?.to_vec()));
    }
    entries.reverse();
    Some(entries)
}
