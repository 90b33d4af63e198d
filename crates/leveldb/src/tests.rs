//! Folders that the tests write themselves, byte by byte. `tests/e2e/import.test.mjs` reads those of LevelDB itself.

use std::{fs, path::Path};

use super::*;

fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn varint(out: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A log file of records that each fit into a block.
fn log(records: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for record in records {
        let checksum = crc32c::crc32c(&[&[1], &record[..]].concat());
        file.extend(masked(checksum).to_le_bytes());
        file.extend((record.len() as u16).to_le_bytes());
        file.push(1);
        file.extend(record);
    }
    file
}

/// A batch of one change.
fn batch(number: u64, key: &str, value: Option<&str>) -> Vec<u8> {
    let mut batch = [&number.to_le_bytes()[..], &1_u32.to_le_bytes()].concat();
    batch.push(value.is_some().into());
    string(&mut batch, key.as_bytes());
    if let Some(value) = value {
        string(&mut batch, value.as_bytes());
    }
    batch
}

fn internal(key: &str, number: u64, is_put: bool) -> Vec<u8> {
    let tag = number << 8 | u64::from(is_put);
    [key.as_bytes(), &tag.to_le_bytes()].concat()
}

/// A block of entries without shared keys, compressed, with its trailer.
fn block(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut plain = Vec::new();
    for (key, value) in entries {
        varint(&mut plain, 0);
        varint(&mut plain, key.len());
        varint(&mut plain, value.len());
        plain.extend(key);
        plain.extend(value);
    }
    plain.extend([0, 0, 0, 0, 1, 0, 0, 0]);
    let mut block = snap::raw::Encoder::new()
        .compress_vec(&plain)
        .expect("compressed");
    block.push(1);
    let checksum = masked(crc32c::crc32c(&block));
    block.extend(checksum.to_le_bytes());
    block
}

/// A table with one block for each of `blocks`.
fn table(blocks: &[&[(Vec<u8>, Vec<u8>)]]) -> Vec<u8> {
    let (mut file, mut index) = (Vec::new(), Vec::new());
    let handle_of = |file: &mut Vec<u8>, block: Vec<u8>| {
        let mut handle = Vec::new();
        varint(&mut handle, file.len());
        varint(&mut handle, block.len() - 5);
        file.extend(block);
        handle
    };
    for entries in blocks {
        let handle = handle_of(&mut file, block(entries));
        index.push((entries[entries.len() - 1].0.clone(), handle));
    }
    let mut footer = handle_of(&mut file, block(&[]));
    let index = handle_of(&mut file, block(&index));
    footer.extend(index);
    footer.resize(40, 0);
    footer.extend(0xdb47_7524_8b80_fb57_u64.to_le_bytes());
    file.extend(footer);
    file
}

/// A folder with a table of two blocks, and a newer log.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let put =
        |key: &str, number, value: &str| (internal(key, number, true), value.as_bytes().to_vec());
    let first = [
        put("a", 1, "old"),
        put("b", 9, "kept"),
        put("b", 2, "older"),
    ];
    let second = [
        put("c", 3, "kept"),
        (internal("d", 5, false), vec![]),
        put("d", 4, "gone"),
    ];
    write(&folder, "000005.ldb", &table(&[&first, &second]));
    let mut edit = vec![1];
    string(&mut edit, b"leveldb.BytewiseComparator");
    edit.extend([2, 6, 7, 0, 5, 0]);
    string(&mut edit, &internal("a", 1, true));
    string(&mut edit, &internal("d", 4, true));
    write(&folder, "MANIFEST-000004", &log(&[edit]));
    write(&folder, "CURRENT", b"MANIFEST-000004\n");
    let changes = [
        batch(10, "a", Some("new")),
        batch(11, "c", None),
        batch(12, "e", Some("new")),
    ];
    write(&folder, "000006.log", &log(&changes));
    write(
        &folder,
        "000003.log",
        &log(&[batch(1, "x", Some("in the table already"))]),
    );
    folder
}

fn write(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) {
    fs::write(folder.path().join(name), bytes).expect("written");
}

fn change(folder: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let path = folder.join(name);
    let mut bytes = fs::read(&path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

/// The entries of a range as text; `!` where something is damaged.
fn entries(folder: &Path, start: &str, end: &str) -> Vec<String> {
    let database = Database::open(folder).expect("opened");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let entries = database.entries(start.as_bytes(), end.as_bytes());
    let shown = entries.map(|entry| match entry {
        Ok((key, value)) => format!("{}={}", text(key), text(value)),
        Err(_) => "!".into(),
    });
    shown.collect()
}

#[test]
fn the_newest_change_of_each_key_counts() {
    let folder = folder();
    assert_eq!(
        entries(folder.path(), "", "z"),
        ["a=new", "b=kept", "e=new"]
    );
    assert_eq!(entries(folder.path(), "b", "e"), ["b=kept"]);
    assert!(entries(folder.path(), "f", "a").is_empty());
}

#[test]
fn nothing_in_the_folder_changes() {
    let folder = folder();
    let state = || {
        let files = fs::read_dir(folder.path()).expect("a folder");
        let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        files.sort();
        let bytes: Vec<_> = files
            .iter()
            .map(|file| fs::read(file).expect("read"))
            .collect();
        (files, bytes)
    };
    let before = state();
    entries(folder.path(), "", "z");
    assert_eq!(state(), before);
}

#[test]
fn a_damaged_block_is_told_in_its_place_and_the_others_are_read() {
    let folder = folder();
    change(folder.path(), "000005.ldb", |bytes| bytes[9] ^= 1);
    assert_eq!(entries(folder.path(), "", "z"), ["!", "a=new", "e=new"]);
    // The block of c and d is sound.
    assert_eq!(entries(folder.path(), "c", "f"), ["e=new"]);
    fs::remove_file(folder.path().join("000005.ldb")).expect("removed");
    assert_eq!(entries(folder.path(), "", "z"), ["!", "a=new", "e=new"]);
    assert_eq!(entries(folder.path(), "e", "z"), ["e=new"]);
}

#[test]
fn a_log_that_ends_within_a_record_is_sound_and_a_damaged_one_is_not() {
    let folder = folder();
    change(folder.path(), "000006.log", |bytes| {
        bytes.truncate(bytes.len() - 2)
    });
    assert_eq!(entries(folder.path(), "d", "z"), [""; 0]);
    assert!(
        Database::open(folder.path())
            .expect("opened")
            .damages()
            .is_empty()
    );
    change(folder.path(), "000006.log", |bytes| bytes[9] ^= 1);
    let database = Database::open(folder.path()).expect("opened");
    assert_eq!(database.damages()[0].file, "000006.log");
}

#[test]
fn another_folder_and_a_damaged_list_of_tables_are_refused() {
    let empty = tempfile::tempdir().expect("a folder");
    let refused = |folder: &Path| Database::open(folder).expect_err("refused").to_string();
    assert!(refused(empty.path()).contains("CURRENT"));
    let folder = folder();
    change(folder.path(), "MANIFEST-000004", |bytes| bytes[12] ^= 1);
    assert!(
        refused(folder.path()).contains("checksum"),
        "{}",
        refused(folder.path())
    );
}
