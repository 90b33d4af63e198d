//! Pages of a SQLite file are overwritten while the server is stopped: whatever pages they are, a
//! document that has lost rows is reported as damaged. None opens empty or incomplete without that.

use std::{fmt, fs, path::PathBuf};

use bytes::Bytes;
use realtime_server::{
    error::Error,
    id::{Seq, Timestamp},
    metrics::Metrics,
    store::{Loaded, Store},
};
use tempfile::TempDir;

use super::{Home, MIB, ana, append, catalog, close, create, journal, key, supervisor};

const PAGE_BYTES: usize = 4096;
const DOCUMENTS: usize = 30;
const ROWS: i64 = 40;
/// The number of files with each kind of corruption.
const ROUNDS: usize = 12;

/// A kind of corruption of a page.
#[derive(Clone, Copy, Debug)]
enum Corruption {
    /// Random bytes.
    Random,
    /// Zeros, as after a write that the disk has lost.
    Zeros,
    /// Random bytes in the second half, as after an incomplete write.
    Torn,
    /// Some random bytes at a random position.
    Patched,
    /// Another page of the file, as after a write to the wrong position.
    Misplaced,
}

const KINDS: [Corruption; 5] = [
    Corruption::Random,
    Corruption::Zeros,
    Corruption::Torn,
    Corruption::Patched,
    Corruption::Misplaced,
];

/// How many documents of the files were opened with each result.
#[derive(Default)]
struct Tally {
    whole: usize,
    damaged: usize,
    failed: usize,
    unopened: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            whole,
            damaged,
            failed,
            unopened,
        } = self;
        write!(
            f,
            "{whole} whole, {damaged} reported as damaged, {failed} failed, {unopened} in files that were not opened"
        )
    }
}

/// Pseudorandom numbers that are the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn row(document: usize, seq: i64) -> Vec<u8> {
    let mut row = format!("{document}/{seq} ").into_bytes();
    // One in eight is longer than a page.
    let length = if seq % 8 == 0 { 9_000 } else { 200 };
    row.resize(length, b'.');
    row
}

fn state(document: usize, seq: i64) -> Vec<u8> {
    let mut state = format!("{document} up to {seq} ").into_bytes();
    state.resize(15_000, b'.');
    state
}

/// The bytes of a stopped server's file with thirty documents: a third each without, with one and
/// with two snapshots.
async fn file() -> Vec<u8> {
    let home = Home::sqlite();
    let store = home.open().await;
    for nth in 0..DOCUMENTS {
        let document = create(&store, &format!("room-{nth}")).await;
        let rows: Vec<_> = (1..=ROWS).map(|seq| row(nth, seq)).collect();
        for some in rows.chunks(10) {
            let some: Vec<_> = some.iter().map(Vec::as_slice).collect();
            append(&store, document, &some).await.unwrap().unwrap();
        }
        for seq in &[20, 30][..nth % 3] {
            let state = Bytes::from(state(nth, *seq));
            let put = store.put_snapshot(document, Seq(*seq), state).await;
            put.unwrap();
        }
    }
    close(store).await;
    let path = home.url.strip_prefix("sqlite://").unwrap();
    assert!(
        !PathBuf::from(format!("{path}-wal")).exists(),
        "the file is complete without a write-ahead log"
    );
    fs::read(path).unwrap()
}

fn corrupt(file: &mut [u8], page: usize, corruption: Corruption, random: &mut Random) {
    let pages = file.len() / PAGE_BYTES;
    let (start, end) = (page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    let range = match corruption {
        Corruption::Random => start..end,
        Corruption::Torn => start + PAGE_BYTES / 2..end,
        Corruption::Patched => {
            let from = start + random.below(PAGE_BYTES - 40);
            from..from + 40
        }
        Corruption::Zeros => return file[start..end].fill(0),
        Corruption::Misplaced => {
            let other = random.below(pages) * PAGE_BYTES;
            return file.copy_within(other..other + PAGE_BYTES, start);
        }
    };
    let bytes = file[range].iter_mut();
    bytes.for_each(|byte| *byte = random.next() as u8);
}

/// Whether `loaded` contains everything that was written to the document.
fn is_whole(nth: usize, loaded: &Loaded) -> bool {
    let after = match &loaded.snapshot {
        Some((seq, held)) if held[..] == state(nth, seq.0) => seq.0,
        Some(_) => return false,
        None => 0,
    };
    let expected = (after + 1..=ROWS).map(|seq| (Seq(seq), Bytes::from(row(nth, seq))));
    loaded.updates.iter().cloned().eq(expected)
}

/// Opens every document of `file` as a room does; panics where one has lost rows and is not reported
/// as damaged.
async fn open_all(file: &[u8], what: &str, tally: &mut Tally) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("realtime.db");
    fs::write(&path, file).unwrap();
    let url = format!("sqlite://{}", path.display());
    let store = match Store::open(&url, journal(MIB), Metrics::new(), &supervisor()).await {
        Ok(store) => store,
        Err(_) => {
            tally.unopened += DOCUMENTS;
            return;
        }
    };
    for nth in 0..DOCUMENTS {
        let room = format!("room-{nth}");
        let found = match store.find_document(&key(&room)).await {
            Ok(found) => found,
            Err(_) => {
                tally.failed += 1;
                continue;
            }
        };
        let found = found.unwrap_or_else(|| panic!("{what}: {room} would be created again, empty"));
        match store.load(found.id()).await {
            Ok(loaded) if is_whole(nth, &loaded) => tally.whole += 1,
            Ok(loaded) if loaded.is_damaged() => {
                let again = store.load(found.id()).await;
                let told = match &again {
                    Ok(again) => again.is_damaged(),
                    // The rows that were set aside may have hit another corrupted page.
                    Err(error) => !matches!(error, Error::NotFound { .. }),
                };
                assert!(told, "{what}: {room} is told damaged once only: {again:?}");
                tally.damaged += 1;
            }
            Ok(loaded) => panic!(
                "{what}: {room} has lost something in silence: snapshot {:?}, {} rows, head {:?}",
                loaded.snapshot.map(|(seq, _)| seq),
                loaded.updates.len(),
                loaded.head_seq,
            ),
            Err(error @ Error::NotFound { .. }) => panic!("{what}: {room}: {error}"),
            Err(_) => tally.failed += 1,
        }
    }
    close(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrupted_pages_are_reported_and_never_hide_an_update() {
    let file = file().await;
    let pages = file.len() / PAGE_BYTES;
    let mut tally = Tally::default();
    open_all(&file, "unchanged", &mut tally).await;
    assert_eq!(tally.whole, DOCUMENTS);

    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for corruption in KINDS {
        let mut tally = Tally::default();
        for nth in 0..ROUNDS {
            let mut file = file.clone();
            // First a single page, then several at once.
            let corrupted: Vec<_> = (0..1 + nth / 2).map(|_| random.below(pages)).collect();
            for &page in &corrupted {
                corrupt(&mut file, page, corruption, &mut random);
            }
            let what = format!("{corruption:?} on pages {corrupted:?} of {pages}");
            open_all(&file, &what, &mut tally).await;
        }
        println!("{corruption:?}: {tally}");
        assert!(tally.damaged + tally.failed + tally.unopened > 0);
    }
}

/// Documents are found by few pages, and a corrupted one of them hides whole documents.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrupted_list_of_documents_creates_no_document_again() {
    let file = file().await;
    let is_list = |page: &[u8]| page.windows(9).any(|bytes| bytes == b"acmeroom-");
    let list: Vec<_> = file
        .chunks(PAGE_BYTES)
        .enumerate()
        .filter(|(_, page)| is_list(page))
        .map(|(nth, _)| nth)
        .collect();
    assert!((2..20).contains(&list.len()), "table and index: {list:?}");
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for corruption in KINDS {
        let mut tally = Tally::default();
        for round in 0..ROUNDS {
            let page = list[round % list.len()];
            let mut file = file.clone();
            corrupt(&mut file, page, corruption, &mut random);
            let what = format!("{corruption:?} on page {page} of the list {list:?}");
            open_all(&file, &what, &mut tally).await;
        }
        println!("the list, {corruption:?}: {tally}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_damaged_list_no_document_is_created_until_it_is_repaired() {
    const INDEX_LEAF: u8 = 10;
    let mut file = file().await;
    let is_index =
        |page: &[u8]| page[0] == INDEX_LEAF && page.windows(9).any(|bytes| bytes == b"acmeroom-");
    let pages: Vec<_> = file.chunks(PAGE_BYTES).collect();
    let index = pages.iter().position(|page| is_index(page)).unwrap();
    let other = |page: &&[u8]| page[0] == INDEX_LEAF && !is_index(page);
    let other = pages.iter().position(other).unwrap();
    file.copy_within(
        other * PAGE_BYTES..(other + 1) * PAGE_BYTES,
        index * PAGE_BYTES,
    );
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("realtime.db");
    fs::write(&path, &file).unwrap();
    let home = Home {
        url: format!("sqlite://{}", path.display()),
        folder: Some(folder),
    };

    let store = home.open().await;
    assert!(store.list_is_damaged());
    for room in ["room-3", "new"] {
        let found = store.find_document(&key(room)).await;
        assert_eq!(found, Err(Error::Internal));
        let (key, now) = (key(room), Timestamp::now());
        let made = catalog(&store).find_or_create(&key, &ana(), now).await;
        assert_eq!(made, Err(Error::Internal));
    }
    close(store).await;

    home.run("reindex document").await;
    let store = home.open().await;
    assert!(!store.list_is_damaged());
    for nth in 0..DOCUMENTS {
        let found = store.find_document(&key(&format!("room-{nth}"))).await;
        let document = found.unwrap().unwrap().id();
        assert!(is_whole(nth, &store.load(document).await.unwrap()));
    }
    create(&store, "new").await;
}
