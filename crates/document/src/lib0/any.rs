//! Values of lib0's kind `Any`: JSON, and other values of JavaScript.

use super::{DEPTH_MAX, Malformed, Reader, malformed};

const UNDEFINED: u8 = 127;
const NULL: u8 = 126;
const FALSE: u8 = 121;
const TRUE: u8 = 120;
const OBJECT: u8 = 118;
const BYTES: u8 = 116;

impl Reader<'_> {
    /// Steps over a lib0 `Any` value that nests at most [`DEPTH_MAX`] deep.
    ///
    /// # Errors
    /// If it is no such value, or deeper.
    pub fn any(&mut self) -> Result<(), Malformed> {
        self.any_within(DEPTH_MAX)
    }

    /// Steps over the options of a subdocument, an `Any` value.
    ///
    /// Yjs makes a document of them: it fails at `null` and `undefined`, takes
    /// any value for true or false, and takes a `guid`, a filter of collected
    /// elements and a collection from them. yrs uses only the
    /// flags, and only if they are booleans.
    ///
    /// # Errors
    /// If it is no such value, or Yjs and yrs would make different documents of it.
    pub fn subdocument_options(&mut self) -> Result<(), Malformed> {
        match self.rest.first().copied() {
            Some(UNDEFINED | NULL) => return malformed("a subdocument without options"),
            Some(OBJECT) => self.rest = &self.rest[1..],
            _ => return self.any(),
        }
        for _ in 0..self.count()? {
            match self.var_string()? {
                "guid" | "gcFilter" | "collectionid" => {
                    return malformed("a subdocument with an option of its owner");
                }
                "gc" | "autoLoad" => match self.byte()? {
                    TRUE | FALSE | UNDEFINED => {}
                    _ => return malformed("a subdocument's flag is no boolean"),
                },
                _ => self.any_within(DEPTH_MAX - 1)?,
            }
        }
        Ok(())
    }

    fn any_within(&mut self, depth: usize) -> Result<(), Malformed> {
        match self.byte()? {
            TRUE | FALSE | NULL | UNDEFINED => {}
            125 => self.signed()?,
            124 => self.take(4).map(drop)?,
            123 => self.take(8).map(drop)?,
            122 => self.big_integer()?,
            119 => self.var_string().map(drop)?,
            BYTES => self.var_bytes().map(drop)?,
            117 | OBJECT if depth == 0 => return malformed("a value nests too deep"),
            117 => {
                for _ in 0..self.count()? {
                    self.any_within(depth - 1)?;
                }
            }
            OBJECT => {
                for _ in 0..self.count()? {
                    let key = self.var_string()?;
                    // In JavaScript they become the prototype of the object, which lib0 then
                    // takes for bytes itself and fails to encode.
                    if key == "__proto__" && self.rest.first() == Some(&BYTES) {
                        return malformed("bytes are the prototype of an object");
                    }
                    self.any_within(depth - 1)?;
                }
            }
            _ => return malformed("an unknown kind of value"),
        }
        Ok(())
    }

    /// Steps over a signed integer of variable length: a sign and an absolute
    /// value of up to [`SAFE_INTEGER_MAX`](super::SAFE_INTEGER_MAX). yrs would write a larger one as
    /// another kind of number. (It also loses the sign of -0, which is accepted
    /// because every program in JavaScript may write a -0 and none depends on it.)
    fn signed(&mut self) -> Result<(), Malformed> {
        self.is_negative().map(drop)
    }

    /// Steps over a `BigInt` of 64 bits. yrs reads it as any other number, and
    /// writes as `BigInt` again only numbers that no other kind of number holds.
    fn big_integer(&mut self) -> Result<(), Malformed> {
        let bytes = self.take(8)?.iter();
        let number = bytes.fold(0, |number: i64, byte| number << 8 | i64::from(*byte));
        let in_float = (number as f32) as i64 == number || (number as f64) as i64 == number;
        if in_float || number.unsigned_abs() <= i32::MAX as u64 {
            return malformed("a BigInt that a number would do for");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_would_be_the_prototype_of_an_object_are_refused() {
        let object = |value: &[u8]| [&[OBJECT, 1, 9], b"__proto__".as_slice(), value].concat();
        assert!(Reader::new(&object(&[BYTES, 0])).any().is_err());
        assert!(Reader::new(&object(&[OBJECT, 0])).any().is_ok());
        assert!(Reader::new(&object(&[TRUE])).any().is_ok());
    }

    #[test]
    fn values_nest_up_to_a_depth() {
        let nested = |depth: usize| {
            let mut bytes = [117, 1].repeat(depth);
            bytes.push(126);
            bytes
        };
        assert!(Reader::new(&nested(DEPTH_MAX)).any().is_ok());
        assert!(Reader::new(&nested(DEPTH_MAX + 1)).any().is_err());
        assert!(Reader::new(&nested(10_000)).any().is_err());
    }

    /// The value as yrs writes it, having read it.
    fn rewritten(value: &[u8]) -> Vec<u8> {
        use yrs::updates::decoder::DecoderV1;
        use yrs::updates::encoder::{Encoder, EncoderV1};
        let read = yrs::Any::decode(&mut DecoderV1::from(value)).expect("a value");
        let mut encoder = EncoderV1::new();
        read.encode(&mut encoder);
        encoder.to_vec()
    }

    #[test]
    fn a_number_keeps_the_kind_that_it_has_in_javascript() {
        let big = |number: i64| [[122].as_slice(), &number.to_be_bytes()].concat();
        for number in [0, 5, -5, 1 << 31, 1 << 53, 3 << 60, i64::MIN, i64::MAX] {
            assert_ne!(rewritten(&big(number))[0], 122, "{number}");
            assert!(Reader::new(&big(number)).any().is_err(), "{number}");
        }
        for number in [(1 << 53) + 1, -(1 << 53) - 1, i64::MAX - 1] {
            assert_eq!(rewritten(&big(number)), big(number));
            assert!(Reader::new(&big(number)).any().is_ok(), "{number}");
        }
        // 2^53 - 1, and 2^53 + 1, which JavaScript rounds and yrs writes as BigInt.
        let largest = [125, 0xbf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f];
        assert!(Reader::new(&largest).any().is_ok());
        let larger = [125, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
        assert_eq!(rewritten(&larger)[0], 122);
        assert!(Reader::new(&larger).any().is_err());
        // -0, an infinite one, and none at all.
        for usual in [
            &[125, 0x40][..],
            &[124, 0x7f, 0x80, 0, 0],
            &[124, 0x7f, 0xc0, 0, 0],
        ] {
            assert!(Reader::new(usual).any().is_ok(), "{usual:?}");
        }
    }

    #[test]
    fn the_options_of_a_subdocument_make_the_same_document_in_yjs_and_yrs() {
        let refused = |options: &[u8]| Reader::new(options).subdocument_options().is_err();
        let option =
            |key: &str, value: &[u8]| [&[118, 1, key.len() as u8], key.as_bytes(), value].concat();
        // Yjs reads a property of them.
        assert!(refused(&[126]) && refused(&[127]));
        // It uses these, whatever they are, and yrs does not.
        for key in ["guid", "gcFilter", "collectionid"] {
            assert!(refused(&option(key, &[119, 1, b'x'])), "{key}");
        }
        // Yjs asks whether they are like true, yrs whether they are true.
        for key in ["gc", "autoLoad"] {
            assert!(
                refused(&option(key, &[126])) && refused(&option(key, &[125, 1])),
                "{key}"
            );
            assert!(
                !refused(&option(key, &[120])) && !refused(&option(key, &[121])),
                "{key}"
            );
        }
        for fine in [
            vec![118, 0],
            vec![125, 5],
            vec![117, 1, 126],
            option("meta", &[118, 1, 1, b'a', 126]),
            option("shouldLoad", &[120]),
            option("encoding", &[125, 1]),
        ] {
            assert!(!refused(&fine), "{fine:?}");
        }
        let deep = [&[117, 1].repeat(DEPTH_MAX), &[126][..]].concat();
        assert!(refused(&option("meta", &deep)), "as deep as anything");
        assert!(refused(&[118, 9]) && refused(&[]), "more than there is");
    }
}
