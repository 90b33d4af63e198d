//! The frames of RFC 6455: reads the headers that clients send, and writes the server's.
//!
//! It has no I/O, no buffers and no state. The [decoder](super::decoder) puts frames
//! together to messages.

/// The longest header of a client's frame: two bytes, eight of length, four of mask.
pub(super) const CLIENT_HEADER_MAX: usize = 14;

/// The longest header of a server's frame, which has no mask.
pub(super) const SERVER_HEADER_MAX: usize = 10;

/// The largest payload of a control frame.
pub(super) const CONTROL_BYTES_MAX: usize = 125;

/// The kind of a frame.
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

    /// Whether it is close, ping or pong. Such frames are short, never fragmented, and
    /// allowed between the fragments of a message.
    pub(super) fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }
}

/// How a peer violated the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Its bytes are no valid frames, or its frames are out of order.
    #[error("{0}")]
    Protocol(&'static str),
    /// A message is larger than the limit.
    #[error("the message is too large")]
    TooLarge,
    /// A message does not arrive in time.
    #[error("the message is incomplete")]
    Incomplete,
    /// Too many frames carry nothing: pings, pongs, tiny fragments, empty messages.
    #[error("too many frames carry nothing")]
    TooManyFrames,
    /// A text is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
}

impl Violation {
    /// The code with which the connection is to be closed.
    pub fn close_code(self) -> u16 {
        match self {
            Violation::Protocol(_) => 1002,
            Violation::TooLarge => 1009,
            Violation::NotUtf8 => 1007,
            Violation::Incomplete | Violation::TooManyFrames => 1008,
        }
    }
}

/// The header of a client's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Whether it is the last frame of its message.
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    pub(super) mask: [u8; 4],
    /// Bytes of payload.
    pub(super) length: usize,
}

impl Header {
    /// Reads the header at the start of `bytes` and returns it with its length;
    /// `None` if it is not complete yet.
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
            return Err(Violation::Protocol(
                "a control frame is fragmented or too long",
            ));
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
            return Err(Violation::Protocol(
                "the length is not in its shortest form",
            ));
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

/// The header of a server's frame: an array, and how many of its bytes are used.
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

/// Reads the header of a server's frame: the opcode, the payload's length and the header's.
pub(super) fn read_server_header(bytes: &[u8]) -> Option<(Opcode, usize, usize)> {
    let opcode = Opcode::parse(bytes.first()? & 0x0F)?;
    let length = |from: &[u8]| from.iter().fold(0, |n, &byte| n << 8 | usize::from(byte));
    Some(match bytes.get(1)? {
        126 => (opcode, length(bytes.get(2..4)?), 4),
        127 => (opcode, length(bytes.get(2..10)?), 10),
        short => (opcode, usize::from(*short), 2),
    })
}

/// Removes the mask from the piece of a payload that starts at `position`.
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
    fn headers_of_all_lengths_are_read_once_they_are_complete() {
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
            let (header, used) = Header::parse(&bytes).expect("valid").expect("complete");
            assert_eq!((header.length, used), (length, bytes.len() - 1));
            assert_eq!((header.fin, header.opcode), (true, Opcode::Binary));
            assert_eq!(header.mask, [1, 2, 3, 4]);
        }
    }

    #[test]
    fn frames_that_a_client_must_not_send_are_refused_by_their_header() {
        assert!(protocol(&[0x82, 5]), "unmasked");
        for reserved in [0x40, 0x20, 0x10] {
            assert!(protocol(&[0x82 | reserved, 0x85]), "reserved bit");
        }
        for opcode in [3, 7, 0xB, 0xF] {
            assert!(protocol(&[0x80 | opcode, 0x80]), "opcode {opcode}");
        }
        assert!(protocol(&[0x09, 0x80]), "a fragmented ping");
        assert!(protocol(&[0x89, 0xFE]), "a long ping");
        assert!(protocol(&[0x82, 0xFE, 0, 125, 0, 0, 0, 0]), "126 for 125");
        assert!(
            protocol(&[0x82, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]),
            "127 for 65,535"
        );
    }

    #[test]
    fn headers_of_the_server_have_the_shortest_form_and_can_be_read() {
        for (length, used) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let (header, written) = server_header(Opcode::Text, length);
            assert_eq!(written, used);
            let read = read_server_header(&header[..written]);
            assert_eq!(read, Some((Opcode::Text, length, used)));
        }
    }

    #[test]
    fn a_mask_is_removed_from_any_position_on() {
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
