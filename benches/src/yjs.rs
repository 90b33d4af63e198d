//! Yjs updates and awareness messages, written and read without a document.
//!
//! Each client types letters after its own last one, so an update is a few numbers, and only the
//! clocks of a received update have to be read at once. [`crate::replica`] checks the content.

use anyhow::{Result, bail};
use document::lib0::{Reader, SAFE_INTEGER_MAX as MAX, write_var, write_var_string};

/// The shared text that all clients edit.
pub const TEXT: &str = "text";

/// An empty state vector.
pub const NOTHING_KNOWN: &[u8] = &[0];

const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_PARENT_SUB: u8 = 0x20;
const CONTENT: u8 = 0x1f;

const GC: u8 = 0;
const DELETED: u8 = 1;
const STRING: u8 = 4;
const SKIP: u8 = 10;

/// The update in which `client` types its letter number `clock`, after the one before.
pub fn letter(client: u64, clock: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    write_var(&mut out, 1);
    write_var(&mut out, 1);
    write_var(&mut out, client);
    write_var(&mut out, u64::from(clock));
    let letter = [b'a' + ((u64::from(clock) + client) % 26) as u8];
    let text = std::str::from_utf8(&letter).unwrap_or("x");
    let before = clock.checked_sub(1).map(|clock| (client, clock));
    put_string(&mut out, before, text);
    write_var(&mut out, 0);
    out
}

/// Appends a struct: `text` after `origin`, or at the begin of the document.
fn put_string(out: &mut Vec<u8>, origin: Option<(u64, u32)>, text: &str) {
    match origin {
        Some((client, clock)) => {
            out.push(HAS_ORIGIN | STRING);
            write_var(out, client);
            write_var(out, u64::from(clock));
        }
        None => {
            out.push(STRING);
            write_var(out, 1);
            write_var_string(out, TEXT);
        }
    }
    write_var_string(out, text);
}

/// A document of `paragraphs` texts of `letters` letters each, which `clients` users wrote in turn,
/// so that neighbours are not merged; as updates of `each` paragraphs, to be applied in order.
pub fn paragraphs(clients: u64, paragraphs: usize, letters: u32, each: usize) -> Vec<Vec<u8>> {
    let first = 0x3000_0000;
    let place = |n: usize| {
        let turn = n as u64 / clients;
        (first + n as u64 % clients, turn as u32 * letters)
    };
    let mut updates = Vec::new();
    for start in (0..paragraphs).step_by(each) {
        let range = start..(start + each).min(paragraphs);
        let mut out = Vec::new();
        let writers: Vec<u64> = (0..clients)
            .filter(|writer| range.clone().any(|n| n as u64 % clients == *writer))
            .collect();
        write_var(&mut out, writers.len() as u64);
        for writer in writers {
            let own: Vec<usize> = range
                .clone()
                .filter(|n| *n as u64 % clients == writer)
                .collect();
            write_var(&mut out, own.len() as u64);
            write_var(&mut out, first + writer);
            write_var(&mut out, u64::from(place(own[0]).1));
            for n in own {
                let before = n.checked_sub(1).map(|n| {
                    let (client, clock) = place(n);
                    (client, clock + letters - 1)
                });
                let mut text = format!("{n} ");
                while text.len() < letters as usize {
                    text.push_str("many words make a long paragraph ");
                }
                text.truncate(letters as usize);
                put_string(&mut out, before, &text);
            }
        }
        write_var(&mut out, 0);
        updates.push(out);
    }
    updates
}

/// Calls back for each run of clocks in `update`: the client, the first clock, their number.
///
/// Only content that this tool writes is supported: text and deleted text.
pub fn spans(update: &[u8], mut tell: impl FnMut(u64, u32, u32)) -> Result<()> {
    let mut reader = Reader::new(update);
    for _ in 0..reader.var(MAX)? {
        let structs = reader.var(MAX)?;
        let client = reader.var(MAX)?;
        let mut clock = clocks(&mut reader)?;
        let mut begin = clock;
        for _ in 0..structs {
            let info = reader.byte()?;
            let kind = info & CONTENT;
            if kind == SKIP {
                if clock > begin {
                    tell(client, begin, clock - begin);
                }
                clock += clocks(&mut reader)?;
                begin = clock;
                continue;
            }
            clock += length(&mut reader, info, kind)?;
        }
        if clock > begin {
            tell(client, begin, clock - begin);
        }
    }
    Ok(())
}

/// Reads one struct; returns the number of its clocks.
fn length(reader: &mut Reader<'_>, info: u8, kind: u8) -> Result<u32> {
    if kind == GC {
        return clocks(reader);
    }
    for flag in [HAS_ORIGIN, HAS_RIGHT_ORIGIN] {
        if info & flag != 0 {
            reader.var(MAX)?;
            reader.var(MAX)?;
        }
    }
    if info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN) == 0 {
        if reader.var(MAX)? == 1 {
            reader.var_bytes()?;
        } else {
            reader.var(MAX)?;
            reader.var(MAX)?;
        }
        if info & HAS_PARENT_SUB != 0 {
            reader.var_bytes()?;
        }
    }
    match kind {
        DELETED => clocks(reader),
        STRING => {
            let bytes = reader.var_bytes()?;
            match bytes.is_ascii() {
                true => Ok(u32::try_from(bytes.len())?),
                false => {
                    let text = std::str::from_utf8(bytes)?;
                    Ok(u32::try_from(text.encode_utf16().count())?)
                }
            }
        }
        other => bail!("content of kind {other}, which this tool never wrote"),
    }
}

/// Reads a clock, or a number of clocks.
fn clocks(reader: &mut Reader<'_>) -> Result<u32> {
    Ok(u32::try_from(reader.var(MAX)?)?)
}

/// The awareness message with the cursor of `client` number `clock`.
pub fn cursor(client: u64, clock: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(96);
    write_var(&mut out, 1);
    write_var(&mut out, client);
    write_var(&mut out, u64::from(clock));
    let state = format!(
        r##"{{"user":{{"name":"u{client}","color":"#30bced"}},"cursor":{{"anchor":{clock},"head":{clock}}}}}"##
    );
    write_var_string(&mut out, &state);
    out
}

/// Calls back for each state in the awareness message `update`: the client and its clock.
pub fn cursors(update: &[u8], mut tell: impl FnMut(u64, u32)) -> Result<()> {
    let mut reader = Reader::new(update);
    for _ in 0..reader.var(MAX)? {
        let client = reader.var(MAX)?;
        let clock = clocks(&mut reader)?;
        reader.var_bytes()?;
        tell(client, clock);
    }
    Ok(())
}

/// The state vector with `clocks` of the clients from `first` on.
pub fn state_vector(first: u64, clocks: &[u32]) -> Vec<u8> {
    let known = || clocks.iter().enumerate().filter(|(_, clock)| **clock > 0);
    let mut out = Vec::new();
    write_var(&mut out, known().count() as u64);
    for (index, clock) in known() {
        write_var(&mut out, first + index as u64);
        write_var(&mut out, u64::from(*clock));
    }
    out
}

#[cfg(test)]
mod tests {
    use yrs::{
        GetString, Options, ReadTxn, StateVector, Text, Transact, Update, updates::decoder::Decode,
        updates::encoder::Encode,
    };

    use super::*;

    fn read(update: &[u8]) -> Vec<(u64, u32, u32)> {
        let mut all = Vec::new();
        spans(update, |client, clock, len| all.push((client, clock, len))).unwrap();
        all
    }

    #[test]
    fn letters_are_what_yrs_takes_for_text() {
        let doc = yrs::Doc::new();
        let text = doc.get_or_insert_text(TEXT);
        for clock in 0..5 {
            for client in [0x1000_0000, 0x1000_0001] {
                let update = letter(client, clock);
                assert_eq!(read(&update), [(client, clock, 1)]);
                let update = Update::decode_v1(&update).unwrap();
                doc.transact_mut().apply_update(update).unwrap();
            }
        }
        let txn = doc.transact();
        assert_eq!(text.get_string(&txn).len(), 10);
        let known = state_vector(0x1000_0000, &[5, 5]);
        assert_eq!(StateVector::decode_v1(&known).unwrap(), txn.state_vector());
    }

    #[test]
    fn merged_updates_are_read_with_their_holes_and_deletions() {
        let merged =
            yrs::merge_updates_v1([letter(7, 0), letter(7, 1), letter(9, 4), letter(9, 6)])
                .unwrap();
        let mut spans = read(&merged);
        spans.sort_unstable();
        assert_eq!(spans, [(7, 0, 2), (9, 4, 1), (9, 6, 1)]);

        let doc = yrs::Doc::with_options(Options {
            client_id: yrs::block::ClientID::new(3),
            ..Options::default()
        });
        let text = doc.get_or_insert_text(TEXT);
        text.insert(&mut doc.transact_mut(), 0, "häppy words");
        text.remove_range(&mut doc.transact_mut(), 1, 4);
        let whole = doc
            .transact()
            .encode_state_as_update_v1(&StateVector::default());
        assert_eq!(read(&whole), [(3, 0, 11)]);
        let known = doc.transact().state_vector().encode_v1();
        assert_eq!(known, [1, 3, 11]);
    }

    #[test]
    fn paragraphs_make_one_document() {
        let doc = yrs::Doc::new();
        let text = doc.get_or_insert_text(TEXT);
        for update in paragraphs(4, 30, 50, 7) {
            let update = Update::decode_v1(&update).unwrap();
            doc.transact_mut().apply_update(update).unwrap();
        }
        let txn = doc.transact();
        assert!(!txn.has_missing_updates());
        assert_eq!(text.get_string(&txn).len(), 30 * 50);
    }

    #[test]
    fn cursors_are_what_yrs_takes_for_awareness() {
        let message = cursor(0x1000_0000, 3);
        assert!(yrs::sync::AwarenessUpdate::decode_v1(&message).is_ok());
        let mut seen = Vec::new();
        cursors(&message, |client, clock| seen.push((client, clock))).unwrap();
        assert_eq!(seen, [(0x1000_0000, 3)]);
    }
}
