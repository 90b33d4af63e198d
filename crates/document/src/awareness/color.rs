//! The colour of a person's cursor.

use std::fmt;

/// A colour as `#rrggbb`, in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Color([u8; 7]);

impl Color {
    /// Parses `#rrggbb`, in upper or lower case; `None` for anything else, such as a name or a
    /// colour with an opacity.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes: [u8; 7] = text.as_bytes().try_into().ok()?;
        bytes.make_ascii_lowercase();
        let is_color = bytes[0] == b'#' && bytes[1..].iter().all(u8::is_ascii_hexdigit);
        is_color.then_some(Self(bytes))
    }

    /// The colour as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is parsed.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Red, green and blue.
    pub fn channels(self) -> [u8; 3] {
        let digit = |at: usize| match self.0[at] {
            letter @ b'a'..=b'f' => letter - b'a' + 10,
            number => number - b'0',
        };
        [1, 3, 5].map(|at| digit(at) * 16 + digit(at + 1))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_hexadecimal_digits_are_a_color() {
        let color = Color::parse("#0A9fFf").expect("a colour");
        assert_eq!(color.as_str(), "#0a9fff");
        assert_eq!(color.channels(), [0x0a, 0x9f, 0xff]);
        for other in [
            "", "#fff", "red", "#12345", "#1234567", "0123456", "#12345g", "#12é45",
        ] {
            assert_eq!(Color::parse(other), None, "{other}");
        }
    }
}
