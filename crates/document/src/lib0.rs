//! Reads lib0, the encoding of all Yjs messages, within bounds.
//!
//! Nothing here allocates by a number that a message claims, recurses deeper
//! than [`DEPTH_MAX`] or reads past the end. The reader does not decode into
//! values, it hands out slices.
//!
//! It accepts bytes that lib0's own readers (0.2) and those of yrs (0.28) both accept,
//! and read as the same value. Where they differ, the comments say how.

mod any;
mod json;

pub use json::check_json;

/// How deep embedded JSON and `Any` values may nest.
pub const DEPTH_MAX: usize = 64;

/// The largest integer that JavaScript holds exactly; client ids stay below or at it.
pub const SAFE_INTEGER_MAX: u64 = (1 << 53) - 1;

/// The most bytes of one number. Beyond it the shifts of yrs overflow.
const VAR_LEN_MAX: usize = 10;

/// Bytes that cannot be read as what they have to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Malformed {
    /// What is wrong, without any of the content.
    pub reason: &'static str,
}

/// The error with this reason.
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

    /// The bytes that have not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The bytes that have been read since `earlier`, a copy of this reader.
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

    /// An unsigned integer of variable length, at most `max` and at most
    /// [`SAFE_INTEGER_MAX`]: JavaScript rounds a larger one, and yrs does not.
    ///
    /// # Errors
    /// If it is larger, or longer than `VAR_LEN_MAX` bytes.
    pub fn var(&mut self, max: u64) -> Result<u64, Malformed> {
        let first = self.byte()?;
        if first < 0x80 && u64::from(first) <= max {
            return Ok(first.into());
        }
        self.var_rest(first, 7, max)
    }

    /// Whether a signed integer of variable length is below 0. Its absolute value is at most
    /// [`SAFE_INTEGER_MAX`].
    ///
    /// # Errors
    /// If that is larger, or longer than `VAR_LEN_MAX` bytes.
    pub(crate) fn is_negative(&mut self) -> Result<bool, Malformed> {
        let first = self.byte()?;
        let absolute = self.var_rest(first, 6, SAFE_INTEGER_MAX)?;
        Ok(first & 0x40 != 0 && absolute > 0)
    }

    /// The rest of a number whose first byte has been read; that byte holds
    /// so many of its bits.
    fn var_rest(&mut self, first: u8, bits: u32, max: u64) -> Result<u64, Malformed> {
        let mut number = u64::from(first) & ((1 << bits) - 1);
        let (mut last, mut shift) = (first, bits);
        for _ in 1..VAR_LEN_MAX {
            if last < 0x80 {
                break;
            }
            last = self.byte()?;
            let part = u64::from(last & 0x7f);
            // Both Yjs and yrs skip further zeros.
            if shift >= u64::BITS - 7 && part > 0 {
                return malformed("a number is too large");
            }
            number |= part.checked_shl(shift).unwrap_or(0);
            shift += 7;
        }
        if last >= 0x80 {
            return malformed("a number is too long");
        }
        if number > max.min(SAFE_INTEGER_MAX) {
            return malformed("a number is too large");
        }
        Ok(number)
    }

    /// The number of parts that follow: at most one for each byte that is left,
    /// so that no count is larger than the message can hold.
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

    /// JSON text that Yjs and yrs parse, and that nests at most [`DEPTH_MAX`] deep.
    ///
    /// # Errors
    /// If it does not.
    pub fn json(&mut self) -> Result<&'a str, Malformed> {
        let text = self.var_string()?;
        json::check_embedded_json(text).map(|()| text)
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
        let last = |bytes: &[u8]| Reader::new(bytes).var(u64::MAX);
        // One more than JavaScript counts to, which it rounds to the even neighbour.
        assert!(last(&[128, 128, 128, 128, 128, 128, 128, 16]).is_err());
        assert!(last(&[0x80; 20]).is_err());
        // Longer than necessary, as both Yjs and yrs accept it, up to where yrs shifts
        // bits out of the 64 and in again.
        assert_eq!(last(&[[0x85].as_slice(), &[0x80; 8], &[0]].concat()), Ok(5));
        assert!(last(&[[0x85].as_slice(), &[0x80; 8], &[1]].concat()).is_err());
        assert!(last(&[[0x85].as_slice(), &[0x80; 9], &[0]].concat()).is_err());
        assert!(Reader::new(&[0x80]).var(u64::MAX).is_err());
    }

    #[test]
    fn a_count_never_claims_more_than_the_bytes_that_are_left() {
        assert_eq!(Reader::new(&[2, 0, 0]).count(), Ok(2));
        assert!(Reader::new(&[3, 0, 0]).count().is_err());
        assert!(Reader::new(&[255, 255, 255, 255, 15]).count().is_err());
    }
}
