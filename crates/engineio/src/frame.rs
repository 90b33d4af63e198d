//! The frames of RFC 6455: reading the headers that clients send, writing ours.
//!
//! No I/O, no buffers, no memory of earlier frames; what a frame means for the
//! message that it belongs to is the [decoder](super::decoder)'s business.

/// The longest header that a client sends: two bytes, eight of length, four of mask.
pub(super) const CLIENT_HEADER_MAX: usize = 14;

/// The longest header that a server sends: it does not mask.
pub(super) const SERVER_HEADER_MAX: usize = 10;

/// The largest payload of a control frame.
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn parse(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xA => Opcode::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xA,
        }
    }

    /// Close, ping and pong: short, whole, and allowed between the fragments of a message.
    pub(super) fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

/// Why a peer's bytes are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// They are no frames, or not in an order that means anything.
    #[error("{0}")]
    Protocol(&'static str),
    /// A message is larger than allowed.
    #[error("the message is too large")]
    TooLarge,
    /// A text is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
}

impl Violation {
    /// The code with which the connection is closed.
    pub fn close_code(self) -> u16 {
        match self {
            Violation::Protocol(_) => 1002,
            Violation::TooLarge => 1009,
            Violation::NotUtf8 => 1007,
        }
    }
}

/// The header of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The last frame of its message.
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Bytes of payload.
    pub(super) length: usize,
}

impl Header {
    /// Reads the header at the start of `bytes` and tells how long it is;
    /// `None` where it goes on beyond them.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(Violation::Protocol("reserved bits are set"));
        }
        let opcode = Opcode::parse(first & 0x0F).ok_or(Violation::Protocol("unknown opcode"))?;
        if second & 0x80 == 0 {
            return Err(Violation::Protocol("the frame is not masked"));
        }
        let short = u64::from(second & 0x7F);
        if opcode.is_control() && (first & 0x80 == 0 || short > CONTROL_BYTES_MAX as u64) {
            return Err(Violation::Protocol("a control frame is whole and short"));
        }
        let extended = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, rest)) = rest.split_at_checked(extended) else {
            return Ok(None);
        };
        let length = match extended {
            0 => short,
            _ => length
                .iter()
                .fold(0, |length, &byte| length << 8 | u64::from(byte)),
        };
        let least = match extended {
            0 => 0,
            2 => 126,
            _ => 1 << 16,
        };
        if length < least {
            return Err(Violation::Protocol("the length is not written shortest"));
        }
        let Some(&mask) = rest.first_chunk() else {
            return Ok(None);
        };
        let header = Self {
            fin: first & 0x80 != 0,
            opcode,
            mask,
            length: usize::try_from(length).map_err(|_| Violation::TooLarge)?,
        };
        Ok(Some((header, 2 + extended + 4)))
    }
}

/// The header of a frame of ours, as an array and how much of it counts.
pub(super) fn server_header(opcode: Opcode, length: usize) -> ([u8; SERVER_HEADER_MAX], usize) {
    let mut header = [0; SERVER_HEADER_MAX];
    header[0] = 0x80 | opcode.bits();
    let used = match length {
        0..126 => {
            header[1] = length as u8;
            2
        }
        126..0x1_0000 => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    (header, used)
}

/// Reads a header of ours back: the opcode, the payload's length and the header's.
pub(super) fn read_server_header(bytes: &[u8]) -> Option<(Opcode, usize, usize)> {
    let opcode = Opcode::parse(bytes.first()? & 0x0F)?;
    let length = |from: &[u8]| from.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
    Some(match bytes.get(1)? {
        126 => (opcode, length(bytes.get(2..4)?), 4),
        127 => (opcode, length(bytes.get(2..10)?), 10),
        short => (opcode, usize::from(*short), 2),
    })
}

/// Takes the mask off a piece of payload that starts `position` bytes into it.
pub(super) fn unmask(piece: &mut [u8], mask: [u8; 4], position: usize) {
    let mut mask = mask;
    mask.rotate_left(position % 4);
    let wide = u64::from_ne_bytes([
        mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3],
    ]);
    let (eights, rest) = piece.as_chunks_mut::<8>();
    for eight in eights {
        *eight = (u64::from_ne_bytes(*eight) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol(bytes: &[u8]) -> bool {
        matches!(Header::parse(bytes), Err(Violation::Protocol(_)))
    }

    #[test]
    fn headers_of_all_lengths_are_read_once_they_are_whole() {
        for (length, written) in [
            (5_usize, vec![0x82, 0x80 | 5]),
            (125, vec![0x82, 0x80 | 125]),
            (126, vec![0x82, 0xFE, 0, 126]),
            (65_535, vec![0x82, 0xFE, 255, 255]),
            (65_536, vec![0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut bytes = written;
            bytes.extend([1, 2, 3, 4]);
            for short in 0..bytes.len() {
                assert_eq!(Header::parse(&bytes[..short]), Ok(None), "{length}");
            }
            bytes.push(99);
            let (header, used) = Header::parse(&bytes).expect("valid").expect("whole");
            assert_eq!((header.length, used), (length, bytes.len() - 1));
            assert_eq!((header.fin, header.opcode), (true, Opcode::Binary));
            assert_eq!(header.mask, [1, 2, 3, 4]);
        }
    }

    #[test]
    fn what_a_client_must_not_send_is_refused_by_its_first_bytes() {
        assert!(protocol(&[0x82, 5]), "unmasked");
        for reserved in [0x40, 0x20, 0x10] {
            assert!(protocol(&[0x82 | reserved, 0x85]), "reserved bit");
        }
        for opcode in [3, 7, 0xB, 0xF] {
            assert!(protocol(&[0x80 | opcode, 0x80]), "opcode {opcode}");
        }
        assert!(protocol(&[0x09, 0x80]), "a ping in pieces");
        assert!(protocol(&[0x89, 0xFE]), "a long ping");
        assert!(protocol(&[0x82, 0xFE, 0, 125, 0, 0, 0, 0]), "126 for 125");
        assert!(
            protocol(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]),
            "127 for 65,535"
        );
    }

    #[test]
    fn our_headers_are_as_short_as_they_can_be_and_can_be_read_back() {
        for (length, used) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let (header, written) = server_header(Opcode::Text, length);
            assert_eq!(written, used);
            let read = read_server_header(&header[..written]);
            assert_eq!(read, Some((Opcode::Text, length, used)));
        }
    }

    #[test]
    fn a_mask_comes_off_from_any_position() {
        let mask = [7, 77, 177, 250];
        let plain: Vec<u8> = (0..100).collect();
        let masked: Vec<u8> = plain
            .iter()
            .enumerate()
            .map(|(at, byte)| byte ^ mask[at % 4])
            .collect();
        for split in 0..plain.len() {
            let mut bytes = masked.clone();
            let (head, tail) = bytes.split_at_mut(split);
            unmask(head, mask, 0);
            unmask(tail, mask, split);
            assert_eq!(bytes, plain);
        }
    }
}
