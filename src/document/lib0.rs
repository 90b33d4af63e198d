//! The lib0 encoding, read with bounds: every Yjs message is made of it.
//!
//! Nothing here allocates by a number that a message claims, recurses deeper
//! than [`DEPTH_MAX`] or reads past the end. The reader accepts what lib0
//! writes; it does not decode into values, it hands out slices.

use serde::de::IgnoredAny;

/// How deep embedded JSON and `Any` values may nest.
pub const DEPTH_MAX: usize = 64;

/// The largest integer that JavaScript holds exactly; client ids stay below or at it.
pub const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

/// Bytes that are not what they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    /// What is wrong, without a word of the content.
    pub reason: &'static str,
}

/// Shorthand for the refusal with `reason`.
pub(crate) fn malformed<T>(reason: &'static str) -> Result<T, Malformed> {
    Err(Malformed { reason })
}

/// Reads lib0 from the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// What has been read since `earlier`, a copy of this reader.
    pub(crate) fn since(&self, earlier: &Reader<'a>) -> &'a [u8] {
        &earlier.rest[..earlier.rest.len() - self.rest.len()]
    }

    /// One byte.
    ///
    /// # Errors
    /// At the end.
    pub fn byte(&mut self) -> Result<u8, Malformed> {
        match self.rest.split_first() {
            Some((first, rest)) => {
                self.rest = rest;
                Ok(*first)
            }
            None => malformed("ends too early"),
        }
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => malformed("ends too early"),
        }
    }

    /// An unsigned integer of variable length, at most `max`.
    ///
    /// # Errors
    /// If it is larger, or longer than any number up to 2^56 needs.
    pub fn var(&mut self, max: u64) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return if number <= max {
                    Ok(number)
                } else {
                    malformed("a number is too large")
                };
            }
        }
        malformed("a number is too long")
    }

    /// A number of things that follow: at most one for each byte that is left,
    /// so that no count claims more than the message can hold.
    ///
    /// # Errors
    /// If it claims more.
    pub fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.var(u64::MAX)?;
        match usize::try_from(count) {
            Ok(count) if count <= self.rest.len() => Ok(count),
            _ => malformed("a count is larger than the message"),
        }
    }

    /// Bytes with their length in front.
    ///
    /// # Errors
    /// If fewer are left.
    pub fn var_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.count()?;
        self.take(len)
    }

    /// UTF-8 with its length in bytes in front.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn var_string(&mut self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.var_bytes()?).map_err(|_| Malformed {
            reason: "a string is not UTF-8",
        })
    }

    /// JSON text that parses and nests at most [`DEPTH_MAX`] deep.
    ///
    /// # Errors
    /// If it does not.
    pub fn json(&mut self) -> Result<&'a str, Malformed> {
        let text = self.var_string()?;
        check_json(text).map(|()| text)
    }

    /// Steps over a lib0 `Any` value that nests at most [`DEPTH_MAX`] deep.
    ///
    /// # Errors
    /// If it is none, or deeper.
    pub fn any(&mut self) -> Result<(), Malformed> {
        self.any_within(DEPTH_MAX)
    }

    fn any_within(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.byte()? {
            120 | 121 | 126 | 127 => {}
            125 => self.signed()?,
            124 => self.take(4).map(drop)?,
            122 | 123 => self.take(8).map(drop)?,
            119 => self.var_string().map(drop)?,
            116 => self.var_bytes().map(drop)?,
            117 | 118 if depth == 0 => return malformed("a value nests too deep"),
            117 => {
                for _ in 0..self.count()? {
                    self.any_within(depth - 1)?;
                }
            }
            118 => {
                for _ in 0..self.count()? {
                    self.var_string()?;
                    self.any_within(depth - 1)?;
                }
            }
            _ => return malformed("an unknown kind of value"),
        }
        Ok(())
    }

    /// Steps over a signed integer of variable length, of up to 64 bits.
    fn signed(&mut self) -> Result<(), Malformed> {
        for _ in 0..10 {
            if self.byte()? < 0x80 {
                return Ok(());
            }
        }
        malformed("a number is too long")
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// If bytes are left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            malformed("bytes follow the end")
        }
    }
}

/// Checks that `text` is JSON that nests at most [`DEPTH_MAX`] deep.
///
/// # Errors
/// If it is not.
pub fn check_json(text: &str) -> Result<(), Malformed> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return malformed("JSON nests too deep");
        }
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(_) => malformed("JSON does not parse"),
    }
}

/// Writes an unsigned integer of variable length.
pub fn write_var(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        // The mask makes the cast exact.
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes bytes with their length in front.
pub fn write_var_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    write_var(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes UTF-8 with its length in bytes in front.
pub fn write_var_string(out: &mut Vec<u8>, text: &str) {
    write_var_bytes(out, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_the_round_trip_and_are_bounded() {
        for number in [
            0,
            1,
            127,
            128,
            16_383,
            16_384,
            u64::from(u32::MAX),
            SAFE_INTEGER_MAX,
        ] {
            let mut out = Vec::new();
            write_var(&mut out, number);
            assert_eq!(Reader::new(&out).var(SAFE_INTEGER_MAX), Ok(number));
            if number > 0 {
                assert!(Reader::new(&out).var(number - 1).is_err());
            }
        }
        assert!(Reader::new(&[0x80; 20]).var(u64::MAX).is_err());
        assert!(Reader::new(&[0x80]).var(u64::MAX).is_err());
    }

    #[test]
    fn a_count_never_claims_more_than_the_bytes_that_are_left() {
        assert_eq!(Reader::new(&[2, 0, 0]).count(), Ok(2));
        assert!(Reader::new(&[3, 0, 0]).count().is_err());
        assert!(Reader::new(&[255, 255, 255, 255, 15]).count().is_err());
    }

    #[test]
    fn values_nest_only_so_deep() {
        let nested = |depth: usize| {
            let mut bytes = [117, 1].repeat(depth);
            bytes.push(126);
            bytes
        };
        assert!(Reader::new(&nested(DEPTH_MAX)).any().is_ok());
        assert!(Reader::new(&nested(DEPTH_MAX + 1)).any().is_err());
        assert!(Reader::new(&nested(10_000)).any().is_err());
    }

    #[test]
    fn json_is_checked_for_syntax_and_depth() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for good in [
            "null",
            "true",
            r#""[[[\"[""#,
            r#"{"a":[1,2.5e3]}"#,
            &nested(DEPTH_MAX),
        ] {
            assert!(check_json(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "{",
            "undefined",
            "1 2",
            &nested(DEPTH_MAX + 1),
            &nested(100_000),
        ] {
            assert!(check_json(bad).is_err(), "{bad:.20}");
        }
    }
}
