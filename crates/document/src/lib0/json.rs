//! JSON, as Yjs embeds it in texts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{DEPTH_MAX, Malformed, malformed};

/// Checks that `text` is JSON that JavaScript accepts and that nests at most [`DEPTH_MAX`] deep.
///
/// # Errors
/// If it is not.
pub fn check_json(text: &str) -> Result<(), Malformed> {
    check::<IgnoredAny>(text)
}

/// Checks that `text` is JSON that both JavaScript and yrs accept and that nests at most
/// [`DEPTH_MAX`] deep. yrs refuses half surrogate pairs, numbers that
/// no `double` holds, and integers between 2^63 and 2^64.
///
/// # Errors
/// If it is not.
pub(super) fn check_embedded_json(text: &str) -> Result<(), Malformed> {
    check::<Embedded>(text)
}

fn check<'a, T: Deserialize<'a>>(text: &'a str) -> Result<(), Malformed> {
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
    match serde_json::from_str::<T>(text) {
        Ok(_) => Ok(()),
        Err(_) => malformed("JSON does not parse"),
    }
}

/// JSON that is read as yrs reads it, without any result.
struct Embedded;

impl<'de> Deserialize<'de> for Embedded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Embedded)
    }
}

impl<'de> Visitor<'de> for Embedded {
    type Value = Embedded;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Embedded, E> {
        Ok(Embedded)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Embedded, E> {
        Ok(Embedded)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Embedded, E> {
        Ok(Embedded)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Embedded, E> {
        match i64::try_from(number) {
            Ok(_) => Ok(Embedded),
            Err(_) => Err(E::custom("an integer is too large")),
        }
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Embedded, E> {
        Ok(Embedded)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Embedded, E> {
        Ok(Embedded)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Embedded, A::Error> {
        while let Some(Embedded) = values.next_element()? {}
        Ok(Embedded)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Embedded, A::Error> {
        while let Some((Embedded, Embedded)) = entries.next_entry()? {}
        Ok(Embedded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn json_in_a_document_is_json_that_yrs_reads_too() {
        for (bad, why) in [
            ("1e999", "infinite in JavaScript, an error in yrs"),
            ("[-1e400]", "infinite in JavaScript, an error in yrs"),
            (r#""\ud800""#, "half a pair of surrogates"),
            (r#"{"\udc00x":1}"#, "half a pair of surrogates"),
            ("9223372036854775808", "2^63"),
            (r#"{"a":[18446744073709551615]}"#, "2^64 - 1"),
        ] {
            assert!(check_json(bad).is_ok(), "{bad}");
            assert!(yrs::Any::from_json(bad).is_err(), "{bad}");
            assert!(check_embedded_json(bad).is_err(), "{bad}: {why}");
        }
        for good in [
            r#""\ud83d\ude00""#,
            "9223372036854775807",
            "18446744073709551616",
            "-0",
            "1e-999",
            r#" {"__proto__":{},"a":1,"a":null} "#,
        ] {
            assert!(yrs::Any::from_json(good).is_ok(), "{good}");
            assert!(check_embedded_json(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn numbers_in_json_are_read_to_the_last_digit() {
        // These differ from their neighbours in the last bit, which a quick
        // reader of numbers gets wrong.
        for number in [
            0.026_166_345_145_480_11_f64,
            51.248_178_371_757_914,
            5.764_607_523_034_235e39,
            f64::MIN_POSITIVE,
        ] {
            let read = yrs::Any::from_json(&number.to_string()).expect("a number");
            assert_eq!(read, yrs::Any::from(number));
        }
    }
}
