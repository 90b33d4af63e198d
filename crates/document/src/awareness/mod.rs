//! Cursors and selections, as y-protocols awareness.
//!
//! [`decode`] and [`encode`] are the wire format; a room keeps an [`Awareness`].
//! A state is the client's JSON object, kept as its text: all members that the server
//! does not overwrite stay as the client wrote them, even numbers of any size.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::lib0::{Malformed, Reader, SAFE_INTEGER_MAX, check_json, malformed};
use super::lib0::{write_var, write_var_string};
use crate::ClientId;

mod color;
mod gone;
mod stamp;
mod states;

pub use self::color::Color;
pub use self::stamp::{Coloring, Identity};
pub use self::states::{Author, Awareness, Generation};

/// The most clients that one message may have states of.
pub const ENTRIES_MAX: usize = 256;

/// The state of one client, as of its `clock`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The Yjs client id.
    pub client: ClientId,
    /// Rises with every renewal.
    pub clock: u32,
    /// A JSON object; `None` (on the wire: `null`) if the client is gone.
    pub state: Option<Arc<str>>,
}

/// Reads an awareness update: at most [`ENTRIES_MAX`] entries, each with a
/// JSON object of bounded depth, or `null`. Its size is for the caller to check.
///
/// # Errors
/// If the bytes are anything else.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let mut reader = Reader::new(bytes);
    let count = reader.count()?;
    if count > ENTRIES_MAX {
        return malformed("too many awareness states");
    }
    let entries = (0..count)
        .map(|_| read_entry(&mut reader))
        .collect::<Result<_, _>>()?;
    reader.finish()?;
    Ok(entries)
}

/// Writes an awareness update.
pub fn encode(entries: &[Entry]) -> Vec<u8> {
    write(
        entries
            .iter()
            .map(|entry| (entry.client, entry.clock, entry.state.as_deref())),
    )
}

fn read_entry(reader: &mut Reader<'_>) -> Result<Entry, Malformed> {
    let client = reader.var(SAFE_INTEGER_MAX)?;
    // The number is at most `u32::MAX`, so the cast is exact.
    let clock = reader.var(u32::MAX.into())? as u32;
    let text = reader.var_string()?;
    check_json(text)?;
    // Parsing as raw JSON removes the white space around it.
    let state = match serde_json::from_str::<&RawValue>(text).map(RawValue::get) {
        Ok("null") => None,
        Ok(object) if object.starts_with('{') => Some(Arc::from(object)),
        _ => return malformed("an awareness state is no object"),
    };
    Ok(Entry {
        client,
        clock,
        state,
    })
}

fn write<'a>(entries: impl ExactSizeIterator<Item = (ClientId, u32, Option<&'a str>)>) -> Vec<u8> {
    let mut out = Vec::new();
    write_var(&mut out, entries.len() as u64);
    for (client, clock, state) in entries {
        write_var(&mut out, client);
        write_var(&mut out, clock.into());
        write_var_string(&mut out, state.unwrap_or("null"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(client: ClientId, clock: u32, state: Option<&str>) -> Entry {
        Entry {
            client,
            clock,
            state: state.map(Arc::from),
        }
    }

    #[test]
    fn updates_of_y_protocols_are_read_and_written_alike() {
        // encodeAwarenessUpdate of y-protocols 1.0: client 12345, clock 3,
        // {"user":{"name":"é"}}, and client 7 gone at clock 9.
        let mut bytes = vec![2, 0xb9, 0x60, 3, 22];
        bytes.extend_from_slice("{\"user\":{\"name\":\"é\"}}".as_bytes());
        bytes.extend_from_slice(&[7, 9, 4]);
        bytes.extend_from_slice(b"null");
        let entries = decode(&bytes).expect("valid");
        assert_eq!(
            entries,
            [
                entry(12345, 3, Some(r#"{"user":{"name":"é"}}"#)),
                entry(7, 9, None)
            ]
        );
        assert_eq!(encode(&entries), bytes);
    }

    #[test]
    fn hostile_awareness_is_refused() {
        let of = |state: &str| encode(&[entry(1, 1, Some(state))]);
        let nested = format!(
            "{}{}",
            "{\"a\":".repeat(65),
            "1".to_owned() + &"}".repeat(65)
        );
        for state in ["1", "\"x\"", "[]", "", "{", "undefined", "{}{}", &nested] {
            assert!(decode(&of(state)).is_err(), "{state:.20}");
        }
        let many: Vec<_> = (0..257).map(|client| entry(client, 0, None)).collect();
        assert!(decode(&encode(&many[..256])).is_ok());
        assert!(decode(&encode(&many)).is_err());
        // A count of class F, a tail, a clock and a client id that are too large.
        assert!(decode(&[255, 255, 255, 127]).is_err());
        assert!(decode(&[0, 0]).is_err());
        assert!(decode(&[1, 1, 255, 255, 255, 255, 31, 2, b'{', b'}']).is_err());
        assert!(decode(&encode(&[entry(1 << 53, 0, None)])).is_err());
    }
}
